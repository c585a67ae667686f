/* A check program in emulation: text and exit code go through the debugger's door (Arm semihosting). */
#include <stdint.h>

#include "../../check/report.h"
#include "startup.h"

#define SYS_WRITE0 4u
#define SYS_EXIT_EXTENDED 0x20u
#define ADP_STOPPED_APPLICATION_EXIT 0x20026u

static void call_debugger(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void print(const char *text) { call_debugger(SYS_WRITE0, text); }

int main(void) {
    const uint32_t end[2] = {ADP_STOPPED_APPLICATION_EXIT, run_checks() == 0 ? 0 : 1};
    call_debugger(SYS_EXIT_EXTENDED, end);
    return 0;
}
