// Claim: each of the 20 operator new and delete forms allocates and frees on one heap, aligned as it says.
#include "check.h"
#include <memory>
#include <new>
#include <string>
#include <vector>

struct alignas(256) Wide { char bytes[300]; };
struct Tiny { char c; ~Tiny() { c = 0; } };

int main() {
    for (size_t size = 0; size < 200000; size += 1 + size / 5) {
        void *p = ::operator new(size);
        CHECK(p && is_aligned(p, size > 8 ? 16 : 8), "new(%zu) gave %p", size, p);
        memset(p, 1, size);
        ::operator delete(p);
        p = ::operator new(size);
        ::operator delete(p, size);
        p = ::operator new[](size);
        ::operator delete[](p);
        p = ::operator new[](size);
        ::operator delete[](p, size);
        p = ::operator new(size, std::nothrow);
        ::operator delete(p, std::nothrow);
        p = ::operator new[](size, std::nothrow);
        ::operator delete[](p, std::nothrow);
        for (size_t align = 1; align <= 8192; align *= 4) {
            auto a = std::align_val_t(align);
            p = ::operator new(size, a);
            CHECK(p && is_aligned(p, align), "new(%zu, align %zu) gave %p", size, align, p);
            memset(p, 2, size);
            ::operator delete(p, a);
            p = ::operator new(size, a);
            ::operator delete(p, size, a);
            p = ::operator new[](size, a);
            CHECK(p && is_aligned(p, align), "new[](%zu, align %zu) gave %p", size, align, p);
            ::operator delete[](p, a);
            p = ::operator new[](size, a);
            ::operator delete[](p, size, a);
            p = ::operator new(size, a, std::nothrow);
            CHECK(p && is_aligned(p, align), "nothrow new(%zu, align %zu) gave %p", size, align, p);
            ::operator delete(p, a, std::nothrow);
            p = ::operator new[](size, a, std::nothrow);
            ::operator delete[](p, a, std::nothrow);
        }
    }
    void *zero = ::operator new(0), *other = ::operator new(0);
    CHECK(zero && other && zero != other, "new(0) is not unique");
    ::operator delete(zero);
    ::operator delete(other);
    ::operator delete(nullptr);
    ::operator delete[](nullptr, size_t(4));
    auto wide = std::make_unique<Wide>();
    CHECK(is_aligned(wide.get(), 256), "an alignas(256) object lies at %p", (void *)wide.get());
    std::unique_ptr<Wide[]> row(new Wide[7]);
    CHECK(is_aligned(row.get(), 256), "an array of alignas(256) lies at %p", (void *)row.get());
    std::unique_ptr<Tiny[]> tinies(new Tiny[1000]);
    std::vector<std::string> words;
    for (int i = 0; i < 50000; i++) words.push_back(std::string(i % 90, 'x'));
    // free() of new's block is not legal C++, but the heap is one: real programs do it.
    free(::operator new(100));
    return 0;
}
