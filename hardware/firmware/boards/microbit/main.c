/* The BBC micro:bit (V1, nRF51822): the beacon, asleep but for its adverts and its line. Wiring: hardware/boards/microbit.md */
#include "../../core/bytes.h"
#include "../../core/crc.h"
#include "../../core/device.h"
#include "../cortex-m/startup.h"
#include "radio.h"
#include "registers.h"
#include "time.h"
#include "uart.h"

#ifdef TEST_BUILD
#define TEST_CAPABILITIES CAN_ADVANCE
#else
#define TEST_CAPABILITIES 0u
#endif

extern const uint8_t image_begin[];
extern const uint8_t image_end[];

static struct device device;
static struct board_facts facts = {
    .capabilities = CAN_BEACON | CAN_RADIO | CAN_SCAN_RESPONSE | CAN_BATTERY | CAN_KEEP_CLOCK | TEST_CAPABILITIES,
    .name = {'m', 'i', 'c', 'r', 'o', ':', 'b', 'i', 't'},
};
static struct kept_clock kept __attribute__((section(".noinit")));

const struct board_facts *board_facts(void) { return &facts; }
struct kept_clock *board_kept_clock(void) { return &kept; }

void board_reset(void) { SCB_AIRCR = SYSTEM_RESET; }

void board_random(uint8_t *out, size_t n) {
    RNG_CONFIG = 1; /* bias corrected */
    RNG_START = 1;
    for (size_t i = 0; i < n; i++) {
        while (RNG_VALRDY == 0) {
        }
        RNG_VALRDY = 0;
        out[i] = (uint8_t)RNG_VALUE;
    }
    RNG_STOP = 1;
}

/* A third of the supply against 1.2 V, in 10 bits. */
uint16_t board_battery_mv(void) {
    uint32_t mv = 0;
    ADC_CONFIG = 2u | 6u << 2;
    ADC_ENABLE = 1;
    ADC_EVENTS_END = 0;
    (void)wait_begin();
    ADC_START = 1;
    if (wait_for(&ADC_EVENTS_END, 200)) mv = (ADC_RESULT & 0x3ffu) * 3600u / 1024u;
    ADC_STOP = 1;
    wait_end();
    ADC_ENABLE = 0;
    return (uint16_t)mv;
}

static enum reset_reason take_reset_reason(void) {
    uint32_t reasons = POWER_RESETREAS;
    POWER_RESETREAS = reasons;
    if (reasons & RESETREAS_LOCKUP) return RESET_LOCKUP;
    if (reasons & RESETREAS_DOG) return RESET_WATCHDOG;
    if (reasons & RESETREAS_SREQ) return RESET_ASKED;
    if (reasons & RESETREAS_PIN) return RESET_PIN;
    return reasons == 0 ? RESET_POWER : RESET_UNKNOWN;
}

static void learn_facts(void) {
    uint8_t chance[4];
    board_random(chance, sizeof chance);
    facts.boot_id = get32(chance);
    facts.reset_reason = take_reset_reason();
    put32(facts.device_id, FICR_DEVICEID(0));
    put32(facts.device_id + 4, FICR_DEVICEID(1));
    // Both ends of one section, which cppcheck takes for two objects.
    // cppcheck-suppress comparePointers
    facts.image_crc = crc32(image_begin, (size_t)(image_end - image_begin));
}

int main(void) {
    uint8_t byte;
    watchdog_feed();
    time_start();
    uart_start();
    radio_start();
    learn_facts();
    device_start(&device);
    for (;;) {
        watchdog_feed();
        while (uart_take(&byte)) device_byte(&device, byte);
        device_tick(&device);
        if (radio_due_ms() == 0) radio_event();
        uint32_t device_due = device_due_ms(&device);
        uint32_t radio_due = radio_due_ms();
        /* With interrupts off, one that comes between the question and the sleep still ends the sleep. */
        INTERRUPTS_OFF();
        if (uart_is_empty()) time_sleep(device_due < radio_due ? device_due : radio_due);
        INTERRUPTS_ON();
    }
}
