/* Time on the micro:bit. RTC1 counts on the slow clock while all else sleeps. Where it does not count, as in QEMU, TIMER0 does
 * instead: what is tested in emulation is the image that is flashed. */
#include "time.h"

#include "../../core/board.h"
#include "../cortex-m/startup.h"
#include "registers.h"

/* The micro:bit has no crystal of 32,768 Hz, and the slow RC oscillator would be off by minutes a day: the slow clock is made of
 * the fast one, whose crystal then runs always (0.5 mA): without it that is an RC oscillator, too. Boards with a slow crystal:
 * LFCLKSRC_XTAL. */
#ifndef LFCLK_SOURCE
#define LFCLK_SOURCE LFCLKSRC_SYNTH
#endif

#define RTC_MASK 0xffffffu
#define RTC_PRESCALER 31u /* 1024 Hz */
#define TIMER_PRESCALER_31250 9u
#define COMPARE0 (1u << 16)

static bool has_rtc;
static uint32_t last_ticks;
static uint32_t left_over;
static uint32_t millis;

static uint32_t ticks(void) {
    if (has_rtc) return RTC1_COUNTER;
    TIMER_CAPTURE(0, 1) = 1;
    return TIMER_CC(0, 1);
}

bool wait_begin(void) {
    TIMER_MODE(1) = 0;
    TIMER_BITMODE(1) = 0; /* 16 bits */
    TIMER_PRESCALER(1) = 4; /* 1 MHz */
    TIMER_CLEAR(1) = 1;
    TIMER_START(1) = 1;
    if ((CLOCK_HFCLKSTAT & HFCLKSTAT_CRYSTAL_RUNS) == HFCLKSTAT_CRYSTAL_RUNS) return true;
    CLOCK_HFCLKSTARTED = 0;
    CLOCK_HFCLKSTART = 1;
    return wait_for(&CLOCK_HFCLKSTARTED, 3000);
}

void wait_end(void) {
    TIMER_STOP(1) = 1;
    if (has_rtc && LFCLK_SOURCE != LFCLKSRC_SYNTH) CLOCK_HFCLKSTOP = 1;
}

bool wait_for(volatile uint32_t *event, uint16_t us) {
    TIMER_CAPTURE(1, 0) = 1;
    uint32_t begin = TIMER_CC(1, 0);
    while (*event == 0) {
        TIMER_CAPTURE(1, 0) = 1;
        if (((TIMER_CC(1, 0) - begin) & 0xffffu) > us) return false;
    }
    *event = 0;
    return true;
}

void time_start(void) {
    static volatile uint32_t never;
    (void)wait_begin();
    CLOCK_LFCLKSRC = LFCLK_SOURCE;
    CLOCK_LFCLKSTART = 1;
    (void)wait_for(&CLOCK_LFCLKSTARTED, 50000);
    RTC1_PRESCALER = RTC_PRESCALER;
    RTC1_START = 1;
    (void)wait_for(&never, 10000);
    has_rtc = RTC1_COUNTER != 0;
    if (has_rtc) {
        RTC1_INTENSET = COMPARE0;
        NVIC_ISER = 1u << IRQ_RTC1;
    } else {
        TIMER_MODE(0) = 0;
        TIMER_BITMODE(0) = 3; /* 32 bits */
        TIMER_PRESCALER(0) = TIMER_PRESCALER_31250;
        TIMER_CLEAR(0) = 1;
        TIMER_START(0) = 1;
        TIMER_INTENSET(0) = COMPARE0;
        NVIC_ISER = 1u << IRQ_TIMER0;
    }
    wait_end();
}

uint32_t board_millis(void) {
    uint32_t now = ticks();
    uint32_t passed = now - last_ticks;
    last_ticks = now;
    if (has_rtc) { /* 1000 / 1024 */
        left_over += (passed & RTC_MASK) * 125u;
        millis += left_over >> 7;
        left_over &= 127u;
    } else { /* 1000 / 31250 */
        left_over += passed * 4u;
        millis += left_over / 125u;
        left_over %= 125u;
    }
    return millis;
}

void time_sleep(uint32_t ms) {
    /* Two ticks ahead at least: a nearer one could be missed. */
    if (has_rtc) RTC1_CC0 = (RTC1_COUNTER + 2u + ms) & RTC_MASK;
    else TIMER_CC(0, 0) = ticks() + 32u + ms * 31u;
    WAIT_FOR_INTERRUPT();
}

void watchdog_feed(void) {
    static bool runs;
    if (!runs) {
        runs = true;
        WDT_CRV = WATCHDOG_SECONDS * 32768u - 1u;
        WDT_CONFIG = 1; /* also while the processor sleeps */
        WDT_START = 1;
    }
    WDT_RR0 = WDT_RELOAD;
}

void timer_interrupt(void) { TIMER_COMPARE(0, 0) = 0; }
void rtc_interrupt(void) { RTC1_COMPARE0 = 0; }
