// A plug-in that allocates when it is loaded, when it is used and when it is unloaded.
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

static std::map<int, std::string> table = [] {
    std::map<int, std::string> made;
    for (int i = 0; i < 500; i++) made[i] = std::string(i % 80, 'p');
    return made;
}();
static thread_local std::vector<int> numbers;
struct Last {
    std::vector<std::string> words;
    ~Last() { for (int i = 0; i < 50; i++) words.push_back(std::string(100, 'l')); }
};
static Last last;

extern "C" char *plugin_make(int seed) {
    numbers.push_back(seed);
    char *block = (char *)malloc(100 + seed);
    memset(block, 'm', 100 + seed);
    return block;
}
extern "C" size_t plugin_take(char *block) {
    free(block);
    return table.size();
}
