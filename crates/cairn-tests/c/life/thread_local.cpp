// Claim: C++ thread_local objects may own memory: it is made in one thread's life and freed in its last moments, also
// when one object's destructor touches another for the first time.
#include "check.h"
#include <map>
#include <string>
#include <thread>
#include <vector>

struct Late {
    std::vector<std::string> words;
    ~Late() {
        for (auto &word : words) CHECK(word.size() == 60, "a word has %zu letters", word.size());
        for (int i = 0; i < 100; i++) words.push_back(std::string(60, 'z'));
    }
};
static thread_local Late late;
struct Early {
    std::map<int, std::string> table;
    ~Early() {
        for (int i = 0; i < 200; i++) late.words.push_back(std::string(60, 'y'));
        for (auto &entry : table) CHECK(entry.second.size() == 100, "an entry has %zu letters", entry.second.size());
    }
};
static thread_local Early early;

int main() {
    long resident = 0;
    for (int round = 0; round < 60; round++) {
        std::vector<std::thread> threads;
        for (int n = 0; n < 8; n++)
            threads.emplace_back([] {
                for (int i = 0; i < 300; i++) early.table[i] = std::string(100, 'x');
            });
        for (auto &thread : threads) thread.join();
        if (round == 10) resident = status_kib("VmRSS");
    }
    CHECK(status_kib("VmRSS") < resident + 2048, "%ld KiB after 88 threads, %ld after 480", resident, status_kib("VmRSS"));
    early.table[1] = std::string(100, 'x');
    return 0;
}
