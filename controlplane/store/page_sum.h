/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_PAGE_SUM_H
#define STORE_PAGE_SUM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The sum at the end of each page of a database: a CRC-32C over the page's number and all of
 * the page before it. As any CRC of 32 bits it differs after each change within 32 bits in a
 * row, so after that of a single one. The number is in it so that a page which is written to
 * the place of another is noticed as well. Private to this folder.
 */
#define PAGE_SUM_SIZE 4
#define PAGE_SIZE_MIN 512
#define PAGE_SIZE_MAX 65536

/* The application ids of databases whose pages have sums, and of those that have none. */
#define APPLICATION_ID_SUMMED 0x44535053
#define PRAGMA_SUMMED "PRAGMA application_id = 0x44535053"
#define APPLICATION_ID_PLAIN 0x44535054 /* as in migrations/0001_runs.sql */

/* `number` counts from 1; the sum's own place is in `size`. */
uint32_t page_sum(uint32_t number, const uint8_t *page, size_t size);
void page_sum_put(uint32_t number, uint8_t *page, size_t size);
bool page_sum_is_right(uint32_t number, const uint8_t *page, size_t size);

/*
 * Whether the database that begins so has sums: the bytes that its pages reserve and its
 * application id both say so, and one of them is enough. No change within 32 bits reaches both,
 * so none makes a page pass unlooked at; the sum of page 1 then shows the change.
 */
#define DATABASE_HEADER_SIZE 100
bool page_sum_is_expected(const uint8_t header[DATABASE_HEADER_SIZE]);
/* 0 when it can't be one. */
uint32_t page_size_in(const uint8_t header[DATABASE_HEADER_SIZE]);

/* For tests: the same without what the processor has for it. */
uint32_t page_sum_by_table(uint32_t number, const uint8_t *page, size_t size);
#endif
