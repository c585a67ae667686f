/* Between the model of the chip and that of its radio. */
#ifndef RDV_NRF51_RADIO_H
#define RDV_NRF51_RADIO_H
#include <stdbool.h>
#include <stdint.h>

#define CYCLES_PER_US 16u
#define US(n) ((uint64_t)(n) * CYCLES_PER_US)

void nrf51_forbid(const char *what);
bool nrf51_crystal(void);
uint32_t *nrf51_word(uint32_t address);

void nrf51_radio_task(uint32_t offset, uint64_t now);
void nrf51_radio_pass(uint64_t now);
#endif
