/* Time on the micro:bit: milliseconds that also count while the processor sleeps, and microseconds while it waits. */
#ifndef RDV_MICROBIT_TIME_H
#define RDV_MICROBIT_TIME_H
#include <stdbool.h>
#include <stdint.h>

void time_start(void);
/* Interrupts are off: sleeps until the next interrupt, for ms at most. */
void time_sleep(uint32_t ms);

/* Between these two, wait_for() can be used. False: the crystal does not run, and the radio must not be used. */
bool wait_begin(void);
void wait_end(void);
/* Waits until the event register is set, clears it; false: not within `us`, at most 60,000. */
bool wait_for(volatile uint32_t *event, uint16_t us);

/* From the first call on the chip restarts unless this is called every WATCHDOG_SECONDS. */
#define WATCHDOG_SECONDS 8u
void watchdog_feed(void);
#endif
