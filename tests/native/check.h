// What a native test asserts: the failing condition with a message, and the end of the process.
#ifndef TVM_AIE_TESTS_CHECK_H_
#define TVM_AIE_TESTS_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define CHECK(condition, ...)                                              \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      std::fprintf(stderr, __VA_ARGS__);                                   \
      std::fprintf(stderr, "\n");                                          \
      std::exit(1);                                                        \
    }                                                                      \
  } while (0)

#endif  // TVM_AIE_TESTS_CHECK_H_
