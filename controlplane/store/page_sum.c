/* SPDX-License-Identifier: Apache-2.0 */
#include "store/page_sum.h"

#include <pthread.h>
#include <string.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

/*
 * CRC-32C (Castagnoli), https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4. Intel's and AMD's
 * processors have had an instruction for it since SSE4.2; elsewhere eight bytes at a time go
 * through eight tables. The page's number is what the register holds at first.
 */
#define POLYNOMIAL 0x82f63b78U /* its bits reversed, as bytes go in lowest bit first */
#define N_TABLES 8

/* https://www.sqlite.org/fileformat2.html#the_database_header */
#define AT_PAGE_SIZE 16
#define AT_RESERVED 20
#define AT_APPLICATION_ID 68

static uint32_t tables[N_TABLES][256];

static void fill_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;

        for (int bit = 0; bit < 8; bit++)
            sum = sum & 1 ? sum >> 1 ^ POLYNOMIAL : sum >> 1;
        tables[0][byte] = sum;
    }
    for (int table = 1; table < N_TABLES; table++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = tables[table - 1][byte];

            tables[table][byte] = before >> 8 ^ tables[0][before & 0xff];
        }
}

static uint32_t add_byte(uint32_t sum, uint8_t byte)
{
    return sum >> 8 ^ tables[0][(sum ^ byte) & 0xff];
}

static uint32_t little_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8
           | bytes[0];
}

static uint32_t add_by_table(uint32_t sum, const uint8_t *bytes, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, fill_tables);
    for (; size >= 8; bytes += 8, size -= 8) {
        uint32_t low = sum ^ little_endian(bytes);
        uint32_t high = little_endian(bytes + 4);

        sum = 0;
        for (int i = 0; i < 4; i++) {
            sum ^= tables[7 - i][low >> (8 * i) & 0xff];
            sum ^= tables[3 - i][high >> (8 * i) & 0xff];
        }
    }
    for (; size; bytes++, size--)
        sum = add_byte(sum, *bytes);
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
add_by_processor(uint32_t sum, const uint8_t *bytes, size_t size)
{
    uint64_t wide = sum;

    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;

        memcpy(&word, bytes, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
    }
    sum = (uint32_t)wide;
    for (; size; bytes++, size--)
        sum = _mm_crc32_u8(sum, *bytes);
    return sum;
}

static bool processor_can(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t add_by_processor(uint32_t sum, const uint8_t *bytes, size_t size)
{
    return add_by_table(sum, bytes, size);
}

static bool processor_can(void)
{
    return false;
}
#endif

uint32_t page_sum_by_table(uint32_t number, const uint8_t *page, size_t size)
{
    return ~add_by_table(~number, page, size - PAGE_SUM_SIZE);
}

uint32_t page_sum(uint32_t number, const uint8_t *page, size_t size)
{
    if (processor_can())
        return ~add_by_processor(~number, page, size - PAGE_SUM_SIZE);
    return page_sum_by_table(number, page, size);
}

void page_sum_put(uint32_t number, uint8_t *page, size_t size)
{
    uint32_t sum = page_sum(number, page, size);

    for (int i = 1; i <= PAGE_SUM_SIZE; i++, sum >>= 8)
        page[size - (size_t)i] = (uint8_t)sum;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8
           | bytes[3];
}

bool page_sum_is_right(uint32_t number, const uint8_t *page, size_t size)
{
    return big_endian(page + size - PAGE_SUM_SIZE) == page_sum(number, page, size);
}

/* --- The header --------------------------------------------------------------------------- */

bool page_sum_is_expected(const uint8_t header[DATABASE_HEADER_SIZE])
{
    return header[AT_RESERVED] == PAGE_SUM_SIZE
           || big_endian(header + AT_APPLICATION_ID) == APPLICATION_ID_SUMMED;
}

uint32_t page_size_in(const uint8_t header[DATABASE_HEADER_SIZE])
{
    uint32_t size = (uint32_t)header[AT_PAGE_SIZE] << 8 | header[AT_PAGE_SIZE + 1];

    if (size == 1)
        return PAGE_SIZE_MAX;
    return size < PAGE_SIZE_MIN || (size & (size - 1)) ? 0 : size;
}
