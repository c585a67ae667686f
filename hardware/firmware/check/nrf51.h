/* A model of the nRF51822 by its reference manual, so that the very sources of the micro:bit's board run on this machine, under
 * the sanitisers, with what QEMU lacks: RADIO, RTC, the crystal, a line that has a speed, flash that takes time. It is included
 * before each of them (-include), in the place of the chip. What the manual forbids is a fault, by name. */
#ifndef RDV_NRF51_H
#define RDV_NRF51_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REG(address) (*nrf51_register(address))
#define WAIT_FOR_INTERRUPT() nrf51_sleep()
#define INTERRUPTS_OFF() nrf51_interrupts(false)
#define INTERRUPTS_ON() nrf51_interrupts(true)

volatile uint32_t *nrf51_register(uint32_t address);
void nrf51_sleep(void);
void nrf51_interrupts(bool on);

/* What is broken, and who is on the air. */
struct nrf51_world {
    bool no_crystal;    /* the fast crystal never starts */
    bool no_slow_clock; /* the RTC never counts */
    bool stuck_rng;     /* no random byte is ever ready */
    bool stuck_radio;   /* no packet ever ends */
    bool scanner;       /* each advert is answered with `request`, gap_us after its last bit */
    bool damaged;       /* with a wrong CRC */
    uint32_t gap_us;    /* 150 by the standard */
    uint8_t request[14];
};
extern struct nrf51_world nrf51_world;

/* A packet that went out; times are true microseconds. */
struct nrf51_packet {
    uint64_t begin_us; /* of its preamble */
    uint64_t asked_us; /* when the last bit came in that it answers; 0: none */
    uint8_t mhz;       /* above 2400 */
    uint8_t power;     /* the register */
    uint8_t pdu[64];
};
#define NRF51_PACKETS 16u
/* The last ones, in a ring, and how many there were. */
extern struct nrf51_packet nrf51_packets[NRF51_PACKETS];
extern uint64_t nrf51_sent;

/* What came out of the UART, and bytes that were lost on the way into it. */
extern uint8_t nrf51_said[4096];
extern size_t nrf51_said_length;
extern unsigned nrf51_overruns;

/* How many things were done that the manual forbids, and the first of them. */
extern unsigned nrf51_faults;
extern const char *nrf51_fault;

uint64_t nrf51_now_us(void);
/* Runs `firmware` on a chip with blank flash until so many microseconds have passed, or it restarts itself (true). Once per
 * process: its memory is the process's. */
bool nrf51_run(int (*firmware)(void), uint64_t us);
/* Calls `what` at a time, from within the chip's time. One at a time: it may ask for the next. */
void nrf51_at(uint64_t us, void (*what)(void));
/* Bytes that the line brings, one after another at 115,200 baud. */
void nrf51_type(const uint8_t *bytes, size_t n);
#endif
