// Claim: a throwing new that can't be served calls the new-handler, again and again, and throws std::bad_alloc when
// there is none; a handler's own exception passes through; a nothrow new gives a null pointer.
#include "check.h"
#include <new>

static int calls;
static void handler() {
    if (++calls == 3) std::set_new_handler(nullptr);
}
struct Mine {};
static void throwing_handler() { throw Mine(); }
struct Own : std::bad_alloc {};
static void bad_alloc_handler() { throw Own(); }

template <class F> static bool throws_bad_alloc(F f) {
    try {
        void *p = f();
        CHECK(p == nullptr, "an impossible size gave %p", p);
    } catch (const std::bad_alloc &error) {
        return error.what() != nullptr;
    }
    return false;
}

int main() {
    const size_t sizes[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 64, (size_t)1 << 60};
    for (size_t size : sizes) {
        size = opaque(size);
        auto align = std::align_val_t(64);
        CHECK(throws_bad_alloc([=] { return ::operator new(size); }), "new(%zx) threw no bad_alloc", size);
        CHECK(throws_bad_alloc([=] { return ::operator new[](size); }), "new[](%zx) threw no bad_alloc", size);
        CHECK(throws_bad_alloc([=] { return ::operator new(size, align); }), "aligned new(%zx) threw no bad_alloc", size);
        CHECK(throws_bad_alloc([=] { return ::operator new[](size, align); }), "aligned new[](%zx) threw no bad_alloc", size);
        CHECK(::operator new(size, std::nothrow) == nullptr, "nothrow new(%zx) is not null", size);
        CHECK(::operator new[](size, std::nothrow) == nullptr, "nothrow new[](%zx) is not null", size);
        CHECK(::operator new(size, align, std::nothrow) == nullptr, "nothrow aligned new(%zx) is not null", size);
        CHECK(::operator new[](size, align, std::nothrow) == nullptr, "nothrow aligned new[](%zx) is not null", size);
    }
    size_t huge = opaque((size_t)1 << 60);
    calls = 0;
    std::set_new_handler(handler);
    CHECK(throws_bad_alloc([=] { return ::operator new(huge); }), "no bad_alloc after the handler gave up");
    CHECK(calls == 3, "the new-handler was called %d times, not 3", calls);
    calls = 0;
    std::set_new_handler(handler);
    CHECK(::operator new(huge, std::nothrow) == nullptr, "nothrow new is not null after the handler gave up");
    CHECK(calls == 3, "nothrow new called the handler %d times, not 3", calls);
    std::set_new_handler(throwing_handler);
    bool caught = false;
    try {
        (void)::operator new(huge);
    } catch (const Mine &) {
        caught = true;
    }
    CHECK(caught, "%s", "the handler's own exception was lost");
    std::set_new_handler(bad_alloc_handler);
    CHECK(::operator new(huge, std::nothrow) == nullptr, "nothrow new let the handler's bad_alloc %s", "escape");
    std::set_new_handler(nullptr);
    // Deep in other frames, and the heap is whole afterwards.
    for (int i = 0; i < 1000; i++) CHECK(throws_bad_alloc([=] { return new char[huge]; }), "round %d threw nothing", i);
    delete new int(5);
    return 0;
}
