// A C++ program on Cairn that survives running out of memory: a new-handler gives up a reserve, twice, and then
// lets operator new throw.
//
//     cargo build --release -p cairn-malloc
//     c++ -std=c++17 -O2 -Wall -I crates/cairn-malloc/include crates/cairn-malloc/examples-c/reserve.cpp
//         target/release/libcairn.a -pthread -o reserve                                    (all on one line)
//     ./reserve
//
// prints
//
//     a vector of 1000000 numbers, their sum is 499999500000
//     an aligned block begins at a multiple of 4096
//     the handler was called 3 times, and then: std::bad_alloc
//     nothrow: null
//
// With the shared object the second line of the command is
//         -L target/release -lcairn -Wl,-rpath,$PWD/target/release -o reserve
// With -static it works too. (A static program that never names std::bad_alloc and uses no container may lack
// what throws it, because the linker takes only what is asked for, and Cairn asks weakly: add
// -Wl,-u,_ZSt17__throw_bad_allocv.)
#include <cairn.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

static std::unique_ptr<char[]> reserve[2];
static int calls = 0;

static void give_up_reserve() {
    calls++;
    for (auto &part : reserve) {
        if (part) {
            part.reset();
            return;
        }
    }
    std::set_new_handler(nullptr); // nothing is left: the next failure throws
}

struct alignas(4096) Page {
    char bytes[4096];
};

int main() {
    std::vector<std::int64_t> numbers(1000000);
    std::iota(numbers.begin(), numbers.end(), 0);
    std::printf("a vector of %zu numbers, their sum is %lld\n", numbers.size(),
                static_cast<long long>(std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0})));

    auto page = std::make_unique<Page>();
    bool aligned = reinterpret_cast<std::uintptr_t>(page.get()) % alignof(Page) == 0;
    std::printf("an aligned block %s at a multiple of %zu\n", aligned ? "begins" : "does NOT begin", alignof(Page));

    for (auto &part : reserve) part = std::make_unique<char[]>(1 << 20);
    std::set_new_handler(give_up_reserve);
    volatile std::size_t too_much = PTRDIFF_MAX;
    try {
        ::operator delete(::operator new(too_much));
        std::puts("so much memory can't be");
        return 1;
    } catch (const std::bad_alloc &error) {
        std::printf("the handler was called %d times, and then: %s\n", calls, error.what());
    }
    void *none = ::operator new(too_much, std::nothrow);
    std::printf("nothrow: %s\n", none ? "a block?" : "null");
    return aligned && calls == 3 && !none ? 0 : 1;
}
