/* Claim: a large request that fails costs nothing. The data segment is limited to 200 MB; the argument says how many
 * requests for 400 MB are made, all of which fail. Prints how many blocks of 1 MiB can be had afterwards. */
#include "check.h"
#include <sys/resource.h>

int main(int argc, char **argv) {
    int tries = argc > 1 ? atoi(argv[1]) : 0;
    struct rlimit limit = {200 << 20, 200 << 20};
    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0, "setrlimit: %d", errno);
    for (int i = 0; i < tries; i++) {
        errno = 0;
        CHECK(malloc(400 << 20) == NULL && errno == ENOMEM, "malloc of 400 MB with 200 MB to be had, errno %d", errno);
        CHECK(calloc(1, 400 << 20) == NULL, "calloc of 400 MB");
        CHECK(aligned_alloc(1 << 20, 400 << 20) == NULL, "aligned_alloc of 400 MB");
    }
    int count = 0;
    for (;; count++) {
        char *block = malloc(1 << 20);
        if (!block) break;
        CHECK(count < 1000, "the limit isn't one");
        memset(block, 1, 1 << 20);
    }
    printf("%d\n", count);
    return 0;
}
