"""An independent reader of CODEC.md and CHAIN.md: prints the chain over the records of each body.

usage: decode.py < lines of "codec count hex"; codec 0 or 1 (codec 2: decompress first)
"""
import struct
import sys

M = (1 << 64) - 1


def signed(u):
    u &= M
    return u - (1 << 64) if u >> 63 else u


class Body:
    def __init__(self, b):
        self.b, self.at = b, 0

    def take(self, n):
        assert self.at + n <= len(self.b), "truncated"
        self.at += n
        return self.b[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def uvarint(self):
        v = s = 0
        while True:
            c = self.u8()
            v |= (c & 0x7F) << s
            s += 7
            if c < 0x80:
                return v & M

    def svarint(self):
        return unzigzag(self.uvarint())

    def bits(self, n, w):
        x = int.from_bytes(self.take((n * w + 7) // 8), "little")
        return [x >> (i * w) & ((1 << w) - 1) for i in range(n)]

    def blocks(self, n):
        out = []
        while n:
            out += self.block(min(n, 128))
            n -= min(n, 128)
        return out

    def block(self, n):
        x = self.u8()
        low = x & 0x7F
        if low > 64:
            base = self.svarint()
            return [signed(base + v) for v in self.bits(n, low - 65)]
        at = highs = []
        if x >= 0x80:
            e, h = self.u8() + 1, self.u8()
            if e < (n + 7) // 8:
                at = list(self.take(e))
            else:
                at = [i for i, v in enumerate(self.bits(n, 1)) if v]
            assert len(at) == e
            highs = self.bits(e, h)
        v = self.bits(n, low)
        for i, h in zip(at, highs):
            v[i] |= h << low
        return [unzigzag(u) for u in v]

    def column(self, n):
        if n < 2:
            return [self.svarint() for _ in range(n)]
        head = self.u8()
        g = self.uvarint() if head & 4 else 1
        v0 = self.svarint()
        s = self.svarint() if head & 2 else 0
        r = self.blocks(n - 1) if head & 3 != 3 else [0] * (n - 1)
        return predict(head & 3, v0, s, g, r)


def unzigzag(u):
    return u >> 1 ^ -(u & 1)


def predict(order, first, s, g, r):
    v = [first]
    for x in r:
        if order == 0:
            v.append(signed(first + g * x))
        elif order == 1:
            v.append(signed(v[-1] + g * x))
        else:
            s = signed(s + x)
            v.append(signed(v[-1] + g * s))
    return v


def series(b, count):
    n = b.uvarint()
    ids = b.column(n)
    if n == 1:
        return ids, [0] * count
    if n == count:
        return ids, list(range(n))
    if b.u8() == 1:
        return ids, b.bits(count, (n - 1).bit_length())
    loc, fresh, distance = [], 0, 0
    while len(loc) < count:
        t = b.uvarint()
        if t & 1:
            distance = b.uvarint() or distance
            for _ in range(t >> 1):
                loc.append(loc[-distance])
        else:
            loc += range(fresh, fresh + (t >> 1))
            fresh += t >> 1
    return ids, loc


def word(b):
    x = b.u8()
    if x == 0x80:
        return struct.unpack("<I", b.take(4))[0]
    t, q = b.u8(), b.u8()
    return x & 7 | q << 8 | t << 16 | (x >> 3 & 7) << 24 | (x >> 6) << 31


def words(b, loc, n):
    table = [word(b) for _ in range(b.uvarint())]
    if len(table) == 1:
        return table * len(loc)
    now = b.column(n)
    e = b.uvarint()
    steps, new = b.column(e), b.column(e)
    change, at = {}, 0
    for step, w in zip(steps, new):
        at += step
        change[at] = w
    out = []
    for i, l in enumerate(loc):
        now[l] = change.get(i, now[l])
        out.append(table[now[l]])
    return out


def stamps(b, count):
    r = b.uvarint()
    runs = [1] * count if r == count else [count]
    if 1 < r < count:
        runs = b.column(r - 1)
        runs.append(count - sum(runs))
    head = b.u8()
    if head >> 4 == 0:
        t = b.column(r)
    else:
        lag = b.uvarint()
        t = b.column(lag)
        for d in b.column(r - lag):
            t.append(signed(t[-lag] + d))
    return [signed(x * 10 ** (head & 15)) for x, n in zip(t, runs) for _ in range(n)]


def numbers(b, loc, w, n):
    have = [0] * n
    for l, x in zip(loc, w):
        have[l] += is_number(x)
    owners = [l for l in range(n) if have[l]]
    values = [[] for _ in range(n)]
    if not owners:
        return values
    classes = []
    for _ in range(b.uvarint()):
        head = b.u8()
        classes.append((head & 3, b.uvarint() if head & 4 else 1, head >> 3))
    kind = b.column(len(owners)) if len(classes) > 1 else [0] * len(owners)
    for i, (order, g, form) in enumerate(classes):
        mine = [l for l, k in zip(owners, kind) if k == i]
        table = b.column(b.uvarint()) if form == 31 else None
        firsts = b.column(len(mine))
        slopes = iter(b.column(sum(have[l] > 1 for l in mine)) if order >= 2 else [])
        less = order > 0
        r = b.blocks(sum(have[l] - less for l in mine)) if order < 3 else None
        for l, first in zip(mine, firsts):
            m = have[l] - less
            mineres, r = ([0] * m, None) if r is None else (r[:m], r[m:])
            if order == 0:
                v = [signed(first + g * x) for x in mineres]
            else:
                v = predict(order, first, next(slopes) if order >= 2 and m else 0, g, mineres)
            values[l] = [table[x] if table else restore(form, x) for x in v]
    return values


def restore(form, v):
    if form == 0:
        return v
    if form == 1:
        return v if v >= 0 else v ^ (M >> 1)
    return struct.unpack("<q", struct.pack("<d", float(v) / 10 ** (form - 2)))[0]


def is_number(w):
    return 1 <= (w >> 16 & 15) <= 4


def blobs(b, n):
    d = b.uvarint()
    refs = b.column(n) if d < n else [0] * n
    return refs, b.column(d)


def entries(b, refs, lens):
    e = [b.take(n) for n in lens]
    fresh, out = 0, []
    for k in refs:
        if k == 0:
            fresh += 1
            k = fresh
        out.append(e[k - 1])
    return out


def data(b, n):
    if not n:
        return []
    details = b.u8() & 1
    v = blobs(b, n)
    t = blobs(b, n) if details else None
    values = entries(b, *v)
    return list(zip(values, entries(b, *t) if t else [b""] * n))


def columns(body, count):
    b = Body(body)
    ids, loc = series(b, count)
    w = words(b, loc, len(ids))
    t = stamps(b, count)
    values = [iter(v) for v in numbers(b, loc, w, len(ids))]
    extra = iter(data(b, sum(x >> 31 for x in w)))
    assert b.at == len(body), "bytes after the last section"
    for i, l in enumerate(loc):
        num = next(values[l]) if is_number(w[i]) else 0
        rec = struct.pack("<IIqq", w[i], ids[l], t[i], num)
        if w[i] >> 31:
            value, detail = next(extra)
            rec += struct.pack("<II", len(value), len(detail)) + value + detail
        yield rec + bytes(-len(rec) % 8)


def plain(b):
    while b:
        n = 24
        if b[3] & 0x80:
            n = 32 + sum(struct.unpack_from("<II", b, 24)) + 7 & ~7
        yield b[:n]
        b = b[n:]


def mum(a, b):
    p = a * b
    return p >> 64 ^ p & M


def fold(chain, rec):
    w = struct.unpack("<%dQ" % (len(rec) // 8), rec)
    k0, k1, k2, k3 = 0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1
    h = mum(mum(w[0] ^ k0, w[1] ^ k1) ^ k2, w[2] ^ k3)
    for x in w[3:]:
        h = mum(h ^ k2, x ^ k3)
    return ((chain << 29 & M | chain >> 35) ^ h) * 0x510E527FADE682D1 & M


def main():
    for line in sys.stdin:
        codec, count, body = line.split()
        chain, n = 0, 0
        for rec in columns(bytes.fromhex(body), int(count)) if codec == "1" else plain(bytes.fromhex(body)):
            chain, n = fold(chain, rec), n + 1
        assert n == int(count)
        print("%016x" % chain)


if __name__ == "__main__":
    main()
