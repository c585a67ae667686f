/* Counts checks and says which failed. */
#ifndef RDV_REPORT_H
#define RDV_REPORT_H
#include <stdbool.h>

/* What a check program is made of: returns how many failed. */
unsigned run_checks(void);

void check(bool held, const char *what, const char *which, unsigned number);
/* Prints "N checks, M failed"; returns M. */
unsigned report(void);
/* The platform's: the host's standard output, or the debugger's. */
void print(const char *text);
#endif
