/* Start-up of a Cortex-M without a C library. */
#ifndef RDV_STARTUP_H
#define RDV_STARTUP_H
#include <stddef.h>

int main(void);
void reset_handler(void);
void spurious_interrupt(void);
/* A board that has them defines them. */
void uart_interrupt(void);
void timer_interrupt(void);
void rtc_interrupt(void);

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int byte, size_t n);
#endif
