/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
#include <stddef.h>
#include <stdint.h>

/* UTF-8 one character at a time (RFC 3629). Safe from any thread. */

/* How many of the `size` bytes the first character takes: 1 to 4; 0 when there is none or it
 * is malformed: cut short, overlong, a surrogate, past U+10FFFF. NUL is one byte as any. */
size_t utf8_first(const char *text, size_t size);

/* Writes a character (no surrogate, at most U+10FFFF); returns how many bytes it took. */
size_t utf8_put(uint32_t character, char out[4]);

/* U+FFFD, which stands where something malformed stood. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"
#endif
