/* Claim: calloc's block reads as zero, all usable bytes of it, at every size, even where dirty blocks of that size
 * were freed just before; and so it is after large blocks were trimmed, split and joined. */
#include "check.h"

static void all_zero(const unsigned char *bytes, size_t size, size_t asked) {
    for (size_t i = 0; i < size; i++) CHECK(bytes[i] == 0, "calloc(%zu): byte %zu is %#x", asked, i, bytes[i]);
}

int main(void) {
    for (size_t size = 1; size < 12u << 20; size += size < 2200 ? 1 : size / 9) {
        enum { KEPT = 5 };
        unsigned char *dirty[KEPT];
        for (int i = 0; i < KEPT; i++) {
            dirty[i] = malloc(size);
            memset(dirty[i], 0xa5, malloc_usable_size(dirty[i]));
        }
        for (int i = 0; i < KEPT; i++) free(dirty[i]);
        unsigned char *clean[KEPT + 1];
        for (int i = 0; i <= KEPT; i++) {
            clean[i] = calloc(i & 1 ? size : 1, i & 1 ? 1 : size);
            CHECK(clean[i] != NULL, "calloc(%zu)", size);
            all_zero(clean[i], size, size);
            memset(clean[i], 0x3c, malloc_usable_size(clean[i]));
        }
        for (int i = 0; i <= KEPT; i++) free(clean[i]);
    }
    /* Large dirty spans that are joined and cut in another way. */
    uint64_t state = 1234567;
    enum { SLOTS = 24 };
    static unsigned char *slot[SLOTS];
    for (int i = 0; i < 1500; i++) {
        int at = next_random(&state) % SLOTS;
        free(slot[at]);
        size_t size = 1 + next_random(&state) % (next_random(&state) % 4 ? 60000 : 1500000);
        slot[at] = calloc(1, size);
        CHECK(slot[at] != NULL, "calloc(%zu)", size);
        for (size_t j = 0; j < size; j += 61) CHECK(slot[at][j] == 0, "calloc(%zu), round %d: byte %zu is dirty", size, i, j);
        memset(slot[at], 0xee, size);
        if (i % 100 == 50) malloc_trim(0);
    }
    for (int i = 0; i < SLOTS; i++) free(slot[i]);
    return 0;
}
