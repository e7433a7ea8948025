/* Failing calls: allocations, and system calls that touch files. For a test that is linked with the
 * --wrap options that the Makefile gives it. Counts in all threads. */
#ifndef CASTBUCKET_TESTS_UNIT_FAULT_INJECTION_H
#define CASTBUCKET_TESTS_UNIT_FAULT_INJECTION_H

#include <stdbool.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_MEMORY, /* malloc and its like */
    FAULT_FILES,  /* what opens, writes, syncs, maps, names, removes; fails with the number given */
};

/* From now on the n-th call (from 0) of this kind fails, and if `lasting` each one after it. */
void fault_arm(enum fault_kind kind, int number, unsigned long n, bool lasting);

/* No call fails any more. Returns whether one has. */
bool fault_disarm(void);

/* The name of the first call that failed since fault_arm(), or "". */
const char *fault_name(void);

#endif
