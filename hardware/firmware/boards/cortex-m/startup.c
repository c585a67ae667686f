/* What runs before main() on a Cortex-M: memory, and the vectors that all of them have. A board adds its interrupts. */
#include "startup.h"

#include <stdint.h>

extern uint32_t image_data[];
extern uint32_t data_begin[];
extern uint32_t data_end[];
extern uint32_t bss_begin[];
extern uint32_t bss_end[];
extern uint32_t stack_top[];

#define AIRCR (*(volatile uint32_t *)0xE000ED0Cu)

void reset_handler(void) {
    const uint32_t *from = image_data;
    // Symbols of the linker: both ends of one section, which cppcheck takes for two objects.
    // cppcheck-suppress comparePointers
    for (uint32_t *to = data_begin; to < data_end;) *to++ = *from++;
    // cppcheck-suppress comparePointers
    for (uint32_t *to = bss_begin; to < bss_end;) *to++ = 0;
    (void)main();
    for (;;) {
    }
}

/* A fault is a fault of the program: start anew, as after a lock-up. */
static void fault_handler(void) {
    AIRCR = 0x05FA0004u;
    for (;;) {
    }
}

void spurious_interrupt(void) {}
void uart_interrupt(void) __attribute__((weak, alias("spurious_interrupt")));
void timer_interrupt(void) __attribute__((weak, alias("spurious_interrupt")));
void rtc_interrupt(void) __attribute__((weak, alias("spurious_interrupt")));

typedef void (*vector)(void);

/* Numbers of the interrupts: nRF51. */
__attribute__((section(".vectors"), used)) static const vector VECTORS[16 + 32] = {
    [0] = (vector)stack_top,
    [1] = reset_handler,
    [2] = fault_handler,
    [3] = fault_handler,
    [16 + 2] = uart_interrupt,
    [16 + 8] = timer_interrupt,
    [16 + 17] = rtc_interrupt,
};

/* The compiler calls these where it copies and clears structures. */
void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    while (n-- > 0) *t++ = *f++;
    return to;
}

void *memset(void *to, int byte, size_t n) {
    uint8_t *t = to;
    while (n-- > 0) *t++ = (uint8_t)byte;
    return to;
}
