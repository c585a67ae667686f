/* RADIO of the nRF51 series, as chapter 17 of its reference manual draws it: states, short cuts, ramp-up, spacing of frames. */
#include "nrf51-radio.h"

#include "../boards/microbit/registers.h"

#define AT(offset) (*nrf51_word(0x40001000u + (offset)))
#define RAMP_UP_US 140u
#define TX_DISABLE_US 4u
#define ADDRESS_US 40u /* preamble and access address */
#define CRC_BYTES 3u
#define ACCESS_ADDRESS 0x8E89BED6u

struct nrf51_packet nrf51_packets[NRF51_PACKETS];
uint64_t nrf51_sent;

static enum { DISABLED, TX_RAMP, TX, TX_DISABLE, RX_RAMP, RX, RX_BODY, RX_DISABLE } state;
static uint64_t due; /* when the state changes by itself; 0: it does not */
static uint64_t last_end;
static uint64_t asked;

/* A pointer of the program: it is linked so that all memory has 32-bit addresses. */
static uint8_t *packet(void) { return (uint8_t *)(uintptr_t)AT(0x504u); }

static bool is_level(uint32_t power) {
    static const uint8_t LEVELS[] = {0x04, 0x00, 0xFC, 0xF8, 0xF4, 0xF0, 0xEC, 0xD8};
    for (unsigned i = 0; i < sizeof LEVELS; i++)
        if (power == LEVELS[i]) return true;
    return false;
}

static void check_setting(void) {
    uint32_t channel = AT(0x508u) == 2 ? 37 : AT(0x508u) == 26 ? 38 : AT(0x508u) == 80 ? 39 : 0;
    uint32_t trims = *nrf51_word(0x100000ACu) >> 3 & 1u;
    if (!nrf51_crystal()) nrf51_forbid("RADIO: used without the crystal");
    if (AT(0xFFCu) != 1) nrf51_forbid("RADIO: used without power");
    if (AT(0x510u) != 3) nrf51_forbid("RADIO: not in BLE mode");
    if ((AT(0x554u) & 0x3fu) != channel) nrf51_forbid("RADIO: whitened for another channel");
    if ((AT(0x518u) >> 25 & 1u) != 1 || (AT(0x518u) >> 24 & 1u) != 0) nrf51_forbid("RADIO: not white, or big-endian");
    if ((AT(0x518u) >> 16 & 7u) != 3 || (AT(0x51Cu) >> 8 | AT(0x524u) << 24) != ACCESS_ADDRESS)
        nrf51_forbid("RADIO: not the access address of advertising");
    if ((AT(0x514u) & 0xfu) != 8 || (AT(0x514u) >> 8 & 1u) != 1 || AT(0x514u) >> 16 != 0 || (AT(0x518u) >> 8 & 0xffu) != 0)
        nrf51_forbid("RADIO: no header of one byte and a length of one");
    /* x^24 + x^10 + x^9 + x^6 + x^4 + x^3 + x + 1, Core Vol 6 Part B 3.1.1 */
    if (AT(0x534u) != (3u | 1u << 8) || AT(0x538u) != (1u << 10 | 1u << 9 | 1u << 6 | 1u << 4 | 1u << 3 | 1u << 1 | 1u))
        nrf51_forbid("RADIO: another CRC");
    if (AT(0x53Cu) != 0x555555u) nrf51_forbid("RADIO: another start of the CRC");
    for (uint32_t i = 0; i < 5 && trims == 0; i++)
        if (AT(0x724u + 4u * i) != (*nrf51_word(0x100000ECu + 4u * i) | (i == 4 ? 1u << 31 : 0)))
            nrf51_forbid("RADIO: not trimmed");
}

static void start_tx(uint64_t at) {
    check_setting();
    if (!is_level(AT(0x50Cu) & 0xffu)) nrf51_forbid("RADIO: no level of TXPOWER");
    uint32_t bytes = 2u + packet()[1];
    if (packet()[1] > (AT(0x518u) & 0xffu)) nrf51_forbid("RADIO: longer than MAXLEN");
    struct nrf51_packet *p = &nrf51_packets[nrf51_sent++ % NRF51_PACKETS];
    *p = (struct nrf51_packet){.begin_us = at / CYCLES_PER_US, .mhz = (uint8_t)AT(0x508u), .power = (uint8_t)AT(0x50Cu)};
    p->asked_us = asked / CYCLES_PER_US;
    asked = 0;
    for (uint32_t i = 0; i < bytes && i < sizeof p->pdu; i++) p->pdu[i] = packet()[i];
    state = TX;
    due = nrf51_world.stuck_radio ? 0 : at + US(ADDRESS_US + 8u * (bytes + CRC_BYTES));
}

static void start_rx(uint64_t at) {
    check_setting();
    uint64_t begin = last_end + US(nrf51_world.gap_us);
    state = RX;
    due = nrf51_world.scanner && begin >= at ? begin + US(ADDRESS_US) : 0;
}

static void received(uint64_t at) {
    uint32_t max = AT(0x518u) & 0xffu;
    for (uint32_t i = 0; i < sizeof nrf51_world.request && i < max + 2u; i++) packet()[i] = nrf51_world.request[i];
    AT(0x400u) = nrf51_world.damaged ? 0 : 1;
    AT(0x10Cu) = 1;
    last_end = at;
    asked = at;
}

static void ramp_up(bool tx, uint64_t at, bool spaced) {
    state = tx ? TX_RAMP : RX_RAMP;
    due = at + US(RAMP_UP_US);
    uint64_t earliest = last_end + US(AT(0x544u)) - (tx ? 0 : US(2));
    if (spaced && due < earliest) due = earliest;
}

static void disabled(uint64_t at) {
    state = DISABLED;
    AT(0x110u) = 1;
    if (AT(0x200u) >> 2 & 1u) ramp_up(true, at, true);
    else if (AT(0x200u) >> 3 & 1u) ramp_up(false, at, true);
}

static void ended(uint64_t at, bool tx) {
    if ((AT(0x200u) >> 1 & 1u) == 0) return;
    state = tx ? TX_DISABLE : RX_DISABLE;
    due = at + (tx ? US(TX_DISABLE_US) : 0);
}

void nrf51_radio_pass(uint64_t now) {
    while (due != 0 && now >= due) {
        uint64_t at = due;
        due = 0;
        switch (state) {
        case TX_RAMP:
        case RX_RAMP:
            AT(0x100u) = 1;
            if ((AT(0x200u) & 1u) == 0) break;
            if (state == TX_RAMP) start_tx(at);
            else start_rx(at);
            break;
        case TX:
            AT(0x104u) = 1;
            AT(0x10Cu) = 1;
            last_end = at;
            ended(at, true);
            break;
        case RX:
            AT(0x104u) = 1;
            state = RX_BODY;
            due = at + US(8u * (sizeof nrf51_world.request + CRC_BYTES));
            break;
        case RX_BODY:
            received(at);
            ended(at, false);
            break;
        case TX_DISABLE:
        case RX_DISABLE: disabled(at); break;
        case DISABLED: break;
        }
    }
}

void nrf51_radio_task(uint32_t offset, uint64_t now) {
    if (offset == 0x010u) {
        if (state == DISABLED) return;
        bool sends = state == TX_RAMP || state == TX;
        state = sends ? TX_DISABLE : RX_DISABLE;
        due = now + (sends ? US(TX_DISABLE_US) : 1u);
        return;
    }
    if (offset != 0x000u && offset != 0x004u) return;
    if (state != DISABLED) nrf51_forbid("RADIO: enabled while it is not disabled");
    asked = 0;
    ramp_up(offset == 0, now, false);
}
