# SPDX-License-Identifier: Apache-2.0
"""Requests that two HTTP programs in a row could read in two ways. Each would queue a run, by
itself or by one that it hides, with a token that is good."""
BODY = b'{"prompt":"run_ms=1"}'
SIZE = len(BODY)
CHUNK = b"%x\r\n%s\r\n" % (SIZE, BODY)
CHUNKS = CHUNK + b"0\r\n\r\n"
# Beyond 64 bits.
TOO_LONG = b"9" * 20
TOO_LONG_CHUNK = b"1" + b"0" * 16
CL = b"Content-Length: %d\r\n" % SIZE
TE = b"Transfer-Encoding: chunked\r\n"


def request(token, headers, body=b"", line=b"POST /dispatchTask HTTP/1.1\r\n",
            host=b"Host: x\r\n"):
    return (line + host + b"Authorization: Bearer " + token
            + b"\r\nContent-Type: application/json\r\n" + headers + b"\r\n" + body)


def lengths(token):
    yield "lengths doubled", request(token, CL + CL, BODY)
    yield "lengths at odds", request(token, CL + b"Content-Length: 2\r\n", BODY)
    yield "lengths at odds, the other way", request(token, b"Content-Length: 2\r\n" + CL, BODY)
    for value in (b"+%d", b"-%d", b" 0x%d", b"%d, %d", b"%d,0", b"%d x", b"%d\x0b", b"%d.0",
                  b"%de0", b"", b"\"%d\"", TOO_LONG):
        value = value.replace(b"%d", b"%d" % SIZE)
        yield f"length {value!r}", request(token, b"Content-Length: " + value + b"\r\n", BODY)
    yield "length with a blank before the colon", request(
        token, b"Content-Length : %d\r\n" % SIZE, BODY)
    yield "length with a blank before its name", request(
        token, b" Content-Length: %d\r\n" % SIZE, BODY)
    yield "length with a NUL in its name", request(
        token, b"Content-\0Length: %d\r\n" % SIZE, BODY)
    yield "length on a folded line", request(
        token, b"X: y\r\n Content-Length: 0\r\n" + CL, BODY)


def encodings(token):
    hidden = request(token, CL, BODY)
    yield "CL.TE", request(token, CL + TE, CHUNKS)
    yield "TE.CL", request(token, TE + CL, CHUNKS)
    yield "CL.TE with one hidden behind", request(
        token, b"Content-Length: %d\r\n" % (5 + len(hidden)) + TE, b"0\r\n\r\n" + hidden)
    yield "CL.0 with one hidden behind", request(token, b"Content-Length: 0\r\n" + TE,
                                                 CHUNKS + hidden)
    yield "TE twice", request(token, TE + TE, CHUNKS)
    for value in (b"xchunked", b"gzip, chunked", b"chunked, identity", b"identity", b"chunked ",
                  b"\x0bchunked", b"\"chunked\"", b"chunked;q=1", b"chunked\0", b"chunked\r"):
        yield f"TE {value!r}", request(token, b"Transfer-Encoding: " + value + b"\r\n",
                                       CHUNKS + hidden)
    yield "TE on a folded line", request(token, b"Transfer-Encoding:\r\n chunked\r\n",
                                         CHUNKS + hidden)
    yield "TE with a blank before the colon", request(token, b"Transfer-Encoding : chunked\r\n"
                                                      + CL, CHUNKS + hidden)
    yield "TE behind a lone LF", request(token, b"X: y\n" + TE + CL, CHUNKS + hidden)
    yield "TE behind a lone CR", request(token, b"X: y\r" + TE + CL, CHUNKS + hidden)
    yield "TE of HTTP/1.0", request(token, TE, CHUNKS + hidden,
                                    line=b"POST /dispatchTask HTTP/1.0\r\n")


def chunks(token):
    hidden = request(token, CL, BODY)
    for size in (b"+%x", b"-%x", b"0x%x", b"%xg", b"", TOO_LONG_CHUNK):
        size = size.replace(b"%x", b"%x" % SIZE)
        yield f"chunk of size {size!r}", request(
            token, TE, size + b"\r\n" + BODY + b"\r\n0\r\n\r\n" + hidden)
    yield "chunk longer than it says", request(token, TE, b"%x\r\n%sx\r\n0\r\n\r\n"
                                               % (SIZE, BODY) + hidden)


def lines(token):
    def with_line(line):
        return request(token, CL, BODY, line=line)

    yield "blank before the target", with_line(b"POST  /dispatchTask HTTP/1.1\r\n")
    yield "blank in the target", with_line(b"POST /dispatchTask x HTTP/1.1\r\n")
    yield "NUL in the target", with_line(b"POST /dispatchTask\0x HTTP/1.1\r\n")
    yield "escaped NUL in the target", with_line(b"POST /dispatchTask%00 HTTP/1.1\r\n")
    yield "lone CR in the request line", with_line(b"POST /dispatchTask\rHTTP/1.1\r\n")
    yield "lone LF behind the request line", with_line(b"POST /dispatchTask HTTP/1.1\n")
    yield "tab in the request line", with_line(b"POST\t/dispatchTask\tHTTP/1.1\r\n")
    yield "folded request line", with_line(b"POST /dispatchTask HTTP/1.1\r\n folded\r\n")
    yield "HTTP/1.2", with_line(b"POST /dispatchTask HTTP/1.2\r\n")
    yield "HTTP/2.0", with_line(b"POST /dispatchTask HTTP/2.0\r\n")
    yield "no version", with_line(b"POST /dispatchTask\r\n")


def heads(token):
    def with_host(host):
        return request(token, CL, BODY, host=host)

    yield "Host twice", with_host(b"Host: x\r\nHost: y\r\n")
    yield "no Host", with_host(b"")
    yield "Host folded", with_host(b"Host: x\r\n y\r\n")
    yield "blank before the colon", with_host(b"Host : x\r\n")
    yield "NUL in a value", with_host(b"Host: x\0y\r\n")
    yield "two Authorizations", request(token, b"Authorization: Bearer x\r\n" + CL, BODY)
    yield "two Content-Types", request(token, b"Content-Type: text/plain\r\n" + CL, BODY)
    yield "no colon", request(token, b"nocolon\r\n" + CL, BODY)
    yield "no name", request(token, b": x\r\n" + CL, BODY)
    yield "lone LF behind a header", request(token, b"X: y\n" + CL, BODY)
    yield "lone LF at the head's end", request(token, CL, b"").replace(
        CL + b"\r\n", CL + b"\n") + BODY
    yield "lone CR in a value", request(token, b"X: y\rz\r\n" + CL, BODY)
    yield "parenthesis in a name", request(token, b"X(: y\r\n" + CL, BODY)
    yield "8 bit in a name", request(token, b"\xe4: y\r\n" + CL, BODY)


def ambiguous(token):
    """(what, bytes) of each."""
    return [case for group in (lengths, encodings, chunks, lines, heads) for case in group(token)]


# Of one meaning to libmicrohttpd, and perhaps of another to a program in front of it.
CHUNKINGS = [
    ("chunk with an extension", b"%x;x=y\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY)),
    ("chunk behind a lone LF", b"%x\n%s\n0\n\n" % (SIZE, BODY)),
    ("trailer", CHUNK + b"0\r\nContent-Length: 9\r\n\r\n"),
    ("plain chunks", CHUNKS),
]
# They name another host than Host does, and another path than a proxy may have let by.
ODD_TARGETS = (b"http://elsewhere/dispatchTask", b"//elsewhere/dispatchTask",
               b"/x/../dispatchTask", b"/./dispatchTask", b"/dispatchTask/", b"*",
               b"/dispatchTask;x", b"/%64ispatchTask#x")


def odd_target(token, target, headers=b""):
    return request(token, headers + CL, BODY, line=b"POST " + target + b" HTTP/1.1\r\n")
