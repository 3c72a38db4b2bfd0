/* Claim: see tests/life/straits.rs. One block grows by half again and again until realloc fails; prints the bytes of
 * the last success. The contents are kept throughout, after the failure too. */
#include "check.h"

int main(void) {
    size_t size = 1 << 16;
    unsigned char *block = malloc(size);
    CHECK(block != NULL, "malloc");
    memset(block, 7, size);
    for (;;) {
        size_t next = size + size / 2;
        unsigned char *grown = realloc(block, next);
        if (!grown) break;
        block = grown;
        for (size_t i = 0; i < size; i += 509) CHECK(block[i] == 7, "byte %zu of %zu", i, size);
        memset(block + size, 7, next - size);
        size = next;
    }
    CHECK(errno == ENOMEM, "errno %d", errno);
    for (size_t i = 0; i < size; i += 509) CHECK(block[i] == 7, "byte %zu of %zu, after the failure", i, size);
    printf("%zu\n", size);
    return 0;
}
