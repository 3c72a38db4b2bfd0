/* Claim: reallocarray resizes to the product, keeps the contents, and leaves the block alone if the product
 * overflows. */
#include "check.h"

int main(void) {
    void *block = reallocarray(NULL, 10, 10);
    CHECK(block && malloc_usable_size(block) >= 100, "reallocarray(NULL, 10, 10) gave %p", block);
    fill(block, 100, 1);
    for (size_t count = 11; count < 200000; count += count / 2) {
        block = reallocarray(block, count, 10);
        CHECK(block && malloc_usable_size(block) >= count * 10, "reallocarray(p, %zu, 10) gave %p", count, block);
        CHECK(differs(block, 100, 1) == 100, "contents lost at %zu", count);
        memset((char *)block + 100, 9, count * 10 - 100);
    }
    errno = 0;
    CHECK(reallocarray(block, opaque(SIZE_MAX / 4), 8) == NULL, "an overflowing product was granted");
    CHECK(errno == ENOMEM, "errno is %d", errno);
    CHECK(differs(block, 100, 1) == 100, "a refused reallocarray changed the block");
    free(block);
    return 0;
}
