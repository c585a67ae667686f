/* The chip: time, clocks, line and flash; its radio is in nrf51-radio.c. One access to a register is four cycles; what was written
 * takes effect before the next. */
#include "nrf51.h"

#include <setjmp.h>

#include "../boards/cortex-m/startup.h"
#include "../boards/microbit/registers.h"
#include "nrf51-radio.h"

#define ACCESS_CYCLES 4u
#define BYTE_CYCLES (10u * 16000000u / 115200u)
#define CRYSTAL_CYCLES US(800)
#define RNG_CYCLES US(677)
#define ERASE_CYCLES US(22300)
#define WRITE_CYCLES US(46)
#define FIFO 6u
#define PAGES 0x3F800u
#define WORD_WRITES_MAX 2u
/* Without the crystal the fast clock runs on an RC oscillator: some per cent off. */
#define RC_PER_MILLE 1010u
#define RTC_MASK 0xffffffu

struct nrf51_world nrf51_world;
uint8_t nrf51_said[4096];
size_t nrf51_said_length;
unsigned nrf51_overruns;
unsigned nrf51_faults;
const char *nrf51_fault;

static uint32_t apb[32][1024];
static uint32_t ficr[1024];
static uint32_t ports[1024];
static uint32_t core[1024];
static uint32_t flash[512];
static uint8_t word_writes[512];
static uint32_t scratch;
static uint32_t last_access;
static uint32_t enabled;
static bool masked;
static bool in_interrupt;

static uint64_t now;
static uint64_t end;
static jmp_buf over;
static uint64_t fast_cycles; /* of the fast clock, right or wrong */
static uint64_t crystal_at;
static bool crystal;
static uint64_t slow_left;
static uint64_t slow_count;
static bool slow;
static bool rtc;
static uint64_t rtc_base;
static uint64_t timer_base[2];
static uint64_t timer_held[2];
static bool timer_runs[2];
static uint64_t watchdog_at;
static uint64_t rng_at;
static uint64_t adc_at;
static uint64_t script_at;
static void (*script)(void);

static uint8_t typed[2048];
static size_t typed_count;
static size_t typed_taken;
static uint64_t typed_at;
static uint8_t fifo[FIFO];
static unsigned fifo_count;
static bool receives;
static bool transmits;
static uint64_t sent_at;

void nrf51_forbid(const char *what) {
    if (nrf51_faults++ == 0) nrf51_fault = what;
}

uint64_t nrf51_now_us(void) { return now / CYCLES_PER_US; }
bool nrf51_crystal(void) { return crystal; }

uint32_t *nrf51_word(uint32_t address) {
    uint32_t word = (address & 0xfffu) / 4;
    switch (address >> 28) {
    case 0: return &scratch;
    case 1: return &ficr[word];
    case 4: return &apb[address >> 12 & 31u][word];
    case 5: return &ports[word];
    default: return &core[word];
    }
}

#define AT(address) (*nrf51_word((uint32_t)(uintptr_t)(address)))

static uint64_t timer_now(unsigned n) { return timer_runs[n] ? timer_held[n] + fast_cycles - timer_base[n] : timer_held[n]; }

static uint32_t timer_count(unsigned n) {
    static const uint32_t MASKS[4] = {0xffff, 0xff, 0xffffff, 0xffffffff};
    return (uint32_t)(timer_now(n) >> AT(0x40008510u + 0x1000u * n)) & MASKS[AT(0x40008508u + 0x1000u * n) & 3u];
}

static uint32_t rtc_count(void) {
    return rtc ? (uint32_t)((slow_count - rtc_base) / (AT(0x40011508u) + 1u)) & RTC_MASK : 0;
}

/* ---- time passes ---- */

static void pass(uint64_t cycles) {
    uint32_t rtc_before = rtc_count();
    uint32_t timer_before = timer_count(0);
    now += cycles;
    uint64_t fast = crystal ? cycles : cycles * RC_PER_MILLE / 1000u;
    fast_cycles += fast;
    if (slow) { /* synthesised from the fast one, whichever that is */
        slow_left += (AT(0x40000518u) == 2 ? fast : cycles) * 32768u;
        slow_count += slow_left / 16000000u;
        slow_left %= 16000000u;
    }
    if (crystal_at != 0 && now >= crystal_at) {
        crystal_at = 0;
        crystal = true;
        AT(0x40000100u) = 1;
    }
    AT(0x4000040Cu) = 1u << 16 | (crystal ? 1u : 0);
    uint32_t passed = (rtc_count() - rtc_before) & RTC_MASK;
    if (passed != 0 && ((AT(0x40011540u) - rtc_before - 1u) & RTC_MASK) < passed) AT(0x40011140u) = 1;
    uint32_t counted = timer_count(0) - timer_before;
    if (counted != 0 && AT(0x40008540u) - timer_before - 1u < counted) AT(0x40008140u) = 1;
    if (rng_at != 0 && now >= rng_at && !nrf51_world.stuck_rng) {
        rng_at = now + RNG_CYCLES;
        AT(0x4000D508u) = (uint32_t)(now * 2654435761u >> 13) & 0xffu;
        AT(0x4000D100u) = 1;
    }
    if (adc_at != 0 && now >= adc_at) {
        adc_at = 0;
        AT(0x40007508u) = 853;
        AT(0x40007100u) = 1;
    }
    if (sent_at != 0 && now >= sent_at) {
        sent_at = 0;
        AT(0x4000211Cu) = 1;
    }
    while (typed_taken < typed_count && now >= typed_at) {
        typed_at += BYTE_CYCLES;
        uint8_t byte = typed[typed_taken++];
        if (receives && fifo_count < FIFO) {
            fifo[fifo_count++] = byte;
            AT(0x40002108u) = 1;
        } else {
            nrf51_overruns++;
            AT(0x40002480u) |= 1;
            AT(0x40002124u) = 1;
        }
    }
    nrf51_radio_pass(now);
    if (script != NULL && now >= script_at) {
        void (*what)(void) = script;
        script = NULL;
        what();
    }
    if (watchdog_at != 0 && now >= watchdog_at) longjmp(over, 2);
    if (now >= end) longjmp(over, 1);
}

/* ---- interrupts ---- */

static bool wants_uart(void) {
    uint32_t asked = AT(0x40002304u);
    return (enabled >> 2 & 1u) && (((asked >> 2 & 1u) && AT(0x40002108u)) || ((asked >> 9 & 1u) && AT(0x40002124u)));
}
static bool wants_rtc(void) { return (enabled >> 17 & 1u) && (AT(0x40011304u) >> 16 & 1u) && AT(0x40011140u); }
static bool wants_timer(void) { return (enabled >> 8 & 1u) && (AT(0x40008304u) >> 16 & 1u) && AT(0x40008140u); }

static void settle(void);

static void interrupt(void) {
    if (masked || in_interrupt) return;
    in_interrupt = true;
    if (wants_uart()) uart_interrupt();
    if (wants_rtc()) rtc_interrupt();
    if (wants_timer()) timer_interrupt();
    settle();
    in_interrupt = false;
}

void nrf51_interrupts(bool on) {
    settle();
    masked = !on;
    interrupt();
}

static uint64_t until_next(void) {
    uint64_t far = end - now;
    uint64_t ticks = (AT(0x40011540u) - rtc_count()) & RTC_MASK;
    uint64_t counts = (AT(0x40008540u) - timer_count(0)) & 0xffffffffu;
    if (rtc && ticks > 1 && (ticks - 1) * 15000u < far) far = (ticks - 1) * 15000u;
    if (rtc && ticks <= 1) far = 100;
    if (timer_runs[0] && counts > 1 && (counts - 1) * 500u < far) far = (counts - 1) * 500u;
    if (timer_runs[0] && counts <= 1) far = 100;
    if (typed_taken < typed_count && typed_at > now && typed_at - now < far) far = typed_at - now;
    if (script != NULL && script_at > now && script_at - now < far) far = script_at - now;
    return far == 0 ? 1 : far;
}

void nrf51_sleep(void) {
    settle();
    while (!wants_uart() && !wants_rtc() && !wants_timer()) pass(until_next());
}

/* ---- what was written ---- */

static void run_task(uint32_t address) {
    unsigned n = address >> 12 & 1u; /* of TIMER0 and TIMER1 */
    switch (address & 0xfffff000u) {
    case 0x40000000u:
        if ((address & 0xfffu) == 0 && crystal) AT(0x40000100u) = 1;
        else if ((address & 0xfffu) == 0 && !nrf51_world.no_crystal) crystal_at = now + CRYSTAL_CYCLES;
        else if ((address & 0xfffu) == 4) crystal = false;
        else if ((address & 0xfffu) == 8 && !nrf51_world.no_slow_clock) {
            slow = true;
            AT(0x40000104u) = 1;
        }
        if ((address & 0xfffu) == 4) crystal_at = 0;
        return;
    case 0x40001000u: nrf51_radio_task(address & 0xfffu, now); return;
    case 0x40002000u: /* the manual's table: TXD an output, RXD an input */
        if ((address & 0xfffu) == 0) receives = true;
        if ((address & 0xfffu) == 8) transmits = true;
        if ((AT(0x50000700u + 4u * AT(0x4000250Cu)) & 1u) == 0) nrf51_forbid("UART: TXD is no output");
        if ((AT(0x50000700u + 4u * AT(0x40002514u)) & 3u) != 0) nrf51_forbid("UART: RXD is no input");
        if (AT(0x40002500u) != 4) nrf51_forbid("UART: started before it is enabled");
        return;
    case 0x40007000u: adc_at = (address & 0xfffu) == 0 && AT(0x40007500u) == 1 ? now + US(68) : 0; return;
    case 0x40008000u:
    case 0x40009000u: n = (address >> 12) - 0x40008u;
        switch (address & 0xfffu) {
        case 0x000: timer_base[n] = fast_cycles; timer_runs[n] = true; return;
        case 0x004:
        case 0x010: timer_held[n] = timer_now(n); timer_runs[n] = false; return;
        case 0x00C: timer_held[n] = 0; timer_base[n] = fast_cycles; return;
        default: AT(address - 0x040u + 0x540u) = timer_count(n); return;
        }
    case 0x4000D000u: rng_at = (address & 0xfffu) == 0 ? now + RNG_CYCLES : 0; return;
    case 0x40010000u: watchdog_at = now + US(1000000) / 32768u * (AT(0x40010504u) + 1u); return;
    case 0x40011000u:
        if ((address & 0xfffu) == 0 && slow) {
            rtc = true;
            rtc_base = slow_count;
        }
        return;
    default: return;
    }
}

static void program(uint32_t address) {
    uint32_t word = (address - PAGES) / 4;
    if (scratch == flash[word]) return; /* it was read */
    if (AT(0x4001E504u) != 1) nrf51_forbid("NVMC: written without WEN");
    if (++word_writes[word] > WORD_WRITES_MAX) nrf51_forbid("NVMC: a word written too often between erases");
    flash[word] &= scratch;
    pass(WRITE_CYCLES);
}

static void erase(uint32_t address) {
    if (address == 0) return;
    if (AT(0x4001E504u) != 2) nrf51_forbid("NVMC: erased without EEN");
    if (address < PAGES || (address & 0x3ffu) != 0) nrf51_forbid("NVMC: erased what is not a page of settings");
    for (uint32_t i = 0; i < 256; i++) {
        flash[((address - PAGES) / 4 + i) % 512u] = 0xffffffffu;
        word_writes[((address - PAGES) / 4 + i) % 512u] = 0;
    }
    AT(0x4001E508u) = 0;
    pass(ERASE_CYCLES);
}

static void settle(void) {
    uint32_t address = last_access;
    last_access = 0;
    if (address == 0) return;
    if (address >> 28 == 0) {
        program(address);
        return;
    }
    uint32_t *word = nrf51_word(address);
    if (address >> 28 == 4 && (address & 0xfffu) < 0x100u) {
        if (*word == 0) return;
        *word = 0;
        run_task(address);
    } else if (address == 0x4000251Cu) {
        if (!transmits || sent_at != 0) nrf51_forbid("UART: TXD written while it cannot send");
        if (nrf51_said_length < sizeof nrf51_said) nrf51_said[nrf51_said_length++] = (uint8_t)*word;
        sent_at = now + BYTE_CYCLES;
    } else if (address == 0x4001E508u) {
        erase(*word);
    } else if (address == 0x40011508u) {
        if (rtc && *word != 31) nrf51_forbid("RTC: its prescaler is written while it counts");
    } else if (address == 0x40010600u) {
        if (*word == WDT_RELOAD && watchdog_at != 0) watchdog_at = now + US(1000000) / 32768u * (AT(0x40010504u) + 1u);
        *word = 0;
    } else if (address == 0xE000E100u) {
        enabled |= *word; /* ones set, zeros leave */
    } else if (address == 0xE000ED0Cu && *word == SYSTEM_RESET) {
        longjmp(over, 2);
    }
}

volatile uint32_t *nrf51_register(uint32_t address) {
    settle();
    pass(ACCESS_CYCLES);
    interrupt();
    last_access = address;
    if (address >> 28 == 0) {
        if (address < PAGES || address >= PAGES + sizeof flash) nrf51_forbid("read beyond the settings");
        scratch = flash[(address - PAGES) / 4 % 512u];
    } else if (address == 0x40011504u) {
        AT(address) = rtc_count();
    } else if (address == 0x40002518u) { /* takes the byte out */
        AT(address) = fifo[0];
        for (unsigned i = 1; i < fifo_count; i++) fifo[i - 1] = fifo[i];
        if (fifo_count > 0) fifo_count--;
        if (fifo_count > 0) AT(0x40002108u) = 1;
    }
    return nrf51_word(address);
}

bool nrf51_run(int (*firmware)(void), uint64_t us) {
    for (unsigned i = 0; i < 512; i++) flash[i] = 0xffffffffu;
    for (unsigned i = 0; i < 32; i++) AT(0x50000700u + 4u * i) = 2; /* no pin is connected */
    AT(0x4001E400u) = 1;
    AT(0x100000ACu) = ~(1u << 3);
    for (unsigned i = 0; i < 5; i++) AT(0x100000ECu + 4u * i) = 0x11223344u * (i + 1) & 0x7fffffffu;
    end = us * CYCLES_PER_US;
    int how = setjmp(over);
    if (how == 0) (void)firmware();
    return how == 2;
}

void nrf51_at(uint64_t us, void (*what)(void)) {
    script_at = us * CYCLES_PER_US;
    script = what;
}

void nrf51_type(const uint8_t *bytes, size_t n) {
    if (typed_taken == typed_count) typed_taken = typed_count = 0;
    if (typed_count == 0) typed_at = now + BYTE_CYCLES;
    for (size_t i = 0; i < n && typed_count < sizeof typed; i++) typed[typed_count++] = bytes[i];
}
