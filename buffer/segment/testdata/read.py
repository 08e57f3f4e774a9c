"""An independent reader of FORMAT.md (bodies: CODEC.md and CHAIN.md, with decode.py of package record): what one
stream's directory holds.

usage: read.py [--zstd COMMAND] DIRECTORY

prints, in the order of the offsets
    records EPOCH FROM TO CHAIN(FROM) CHAIN(TO)     runs of records; every record was decoded and folded
    gap EPOCH FROM TO REASON                        stated gaps, and what this reader found damaged (reason 2)
and then
    series EPOCH ID TYPE NAME UNIT KEY=VALUE...     definitions
    delivered OFFSET | owed FROM TO REASON | cursor NAME OFFSET | producer NAME INCARNATION SEQUENCE
"""
import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../record/testdata"))
sys.dont_write_bytecode = True
from decode import Body, columns, fold, plain  # noqa: E402

CORRUPT, FIXED, LEAST, FOREVER = 2, 30, 36, 1 << 64
LIMIT = {1: 1 << 20, 2: 1 << 20, 3: 64 << 10, 4: 1 << 20, 5: 1 << 20}
TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc(b):
    c = 0xFFFFFFFF
    for x in b:
        c = TABLE[(c ^ x) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


class Fields(Body):
    def more(self):
        return self.at < len(self.b)

    def u64(self):
        return struct.unpack("<Q", self.take(8))[0]

    def str(self):
        return self.take(self.uvarint()).decode()

    def sections(self):
        while self.more():
            tag = self.u8()
            yield tag, Fields(self.take(self.uvarint()))


class State:
    """Whole in header, state block and index; in the ext of a batch what has changed."""

    def __init__(self, sections=()):
        self.delivered, self.owed = 0, []
        self.cursors, self.producers, self.gaps, self.epochs = {}, {}, [], []
        for tag, f in sections:
            self.take(tag, f)

    def take(self, tag, f):
        if tag == 2:
            self.delivered, self.owed = f.uvarint(), []
        last = 0
        while tag == 15 and f.more():
            a, n, reason = last + f.uvarint(), f.uvarint(), f.u8()
            last = a + n
            self.owed.append((a, last, reason))
        while tag in (3, 4, 5, 6, 9) and f.more():
            if tag == 3:
                name = f.str()
                self.cursors[name] = f.uvarint()
            elif tag == 5:
                e, a, n, reason = f.u64(), f.uvarint(), f.uvarint(), f.u8()
                f.u64(), f.u64(), f.svarint(), f.svarint()
                self.gaps.append((a, a + n, e, reason))
            elif tag == 6:
                self.epochs.append((f.u64(), f.u64(), f.uvarint(), f.uvarint(), f.uvarint(), f.u64(), f.str()))
            else:
                name = f.str()
                self.producers[name] = f.u64(), f.uvarint()
                if tag == 9:
                    f.uvarint(), f.uvarint()


class Block:
    def __init__(self, b, pos, salt):
        """The block whose header stands at pos; ValueError if there is none. salt None: of any file."""
        if pos + LEAST > len(b):
            raise ValueError("end of file")
        (self.salt, head_crc, self.body_crc, self.type, self.codec, self.chain,
         self.chain_end) = struct.unpack_from("<IIIBBQQ", b, pos)
        f = Fields(b[pos + FIXED:pos + FIXED + 60])
        try:
            ext, body, self.count, self.base, raw, back = [f.uvarint() for _ in range(6)]
        except AssertionError:
            raise ValueError("no block") from None
        at = pos + FIXED + f.at
        self.ext, self.body = b[at:at + ext], b[at + ext:at + ext + body]
        if (salt not in (None, self.salt) or self.type not in LIMIT or ext > 60 << 10 or body > LIMIT[self.type]
                or at + ext + body > len(b)
                or crc(struct.pack("<Q", pos) + b[pos:pos + 4] + b[pos + 8:at] + self.ext) != head_crc):
            raise ValueError("no block")
        self.pos, self.raw, self.synced = pos, raw or body, pos - back
        self.end, self.next = self.base + self.count, at + ext + body

    def good(self):
        return crc(self.body) == self.body_crc


def resync(b, pos, salt):
    """The first block header at or behind pos, or None."""
    while pos + LEAST <= len(b):
        if salt is not None:
            pos = b.find(struct.pack("<I", salt), pos)
            if pos < 0:
                return None
        try:
            return Block(b, pos, salt)
        except ValueError:
            pos += 1
    return None


class Segment:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.b = f.read()
        self.path, self.damage, self.batches, self.defs = path, [], [], {}
        self.start, self.headless = self.header(self.b), False
        if self.start is None:
            k = resync(self.b, 0, None)
            assert k, path + ": nothing in it can be read"
            self.start = k.pos
            if k.type != 1 or not k.good() or not self.header(k.body):  # the copy is damaged, too
                name = os.path.basename(path)
                self.salt, self.base, self.epoch = k.salt, int(name[:16], 16), int(name[17:33], 16)
                self.seq = self.opening = self.parent = self.parent_end = 0
                self.first, self.state, self.moved, self.headless = self.base, None, None, True

    def header(self, b):
        if b[:8] != b"edgeseg\n" or crc(b[:16]) != struct.unpack_from("<I", b, 16)[0]:
            return None
        version, flags, n = struct.unpack_from("<HHI", b, 8)
        assert version == 0 and flags == 0, self.path + ": of a newer format"
        if crc(b[:n - 4]) != struct.unpack_from("<I", b, n - 4)[0]:
            return None
        (self.salt, self.seq, self.opening, self.epoch, self.parent, self.parent_end, self.first,
         self.base) = struct.unpack_from("<IIQQQQQQ", b, 20)
        self.state, self.moved = State(Fields(b[92:n - 4]).sections()), None
        for tag, f in Fields(b[92:n - 4]).sections():
            if tag == 14:
                self.moved = f.u64(), f.uvarint()
        return n

    def scan(self, reach):
        """Reads block after block. reach: an offset that a later segment says was durable here."""
        pos, at, witness = self.start, self.base, None
        self.doubt = self.headless  # a state may have been lost
        while True:
            self.end = at
            try:
                k = Block(self.b, pos, self.salt)
            except ValueError:
                k = None
            if k and k.good() and k.base >= at:
                if k.base > at:
                    self.damage.append((at, k.base))
                at, pos = k.end, k.next
                self.take(k)
                if k.type == 5:
                    break
                continue
            if witness is None:
                witness = self.witness(pos)
            if witness <= pos and at >= reach:
                return  # the torn tail
            self.doubt = self.doubt or k is None or k.type != 3
            if k is None:
                k = resync(self.b, pos + 1, self.salt)
                if k is None:
                    break
                pos = k.pos
                continue
            if k.type == 3 and k.base >= at:  # the body is lost; the header says what was in it
                self.damage.append((at, k.end))
                at = k.end
                self.changes(k)
            pos = k.next
        self.end = at
        if at < reach:
            self.damage.append((at, reach))

    def witness(self, pos):
        most, k = 0, resync(self.b, pos + 1, self.salt)
        while k:
            most, k = max(most, k.synced), resync(self.b, k.next, self.salt)
        return most

    def changes(self, k):
        before = self.state.delivered, self.state.owed
        for tag, f in Fields(k.ext).sections():
            self.state.take(tag, f)
        if self.doubt and self.state.delivered > before[0]:
            self.state.delivered, self.state.owed = before

    def take(self, k):
        if k.type == 3:
            self.batches.append(k)
            self.changes(k)
        elif k.type == 2:
            f = Fields(k.body)
            while f.more():
                sid, words = f.uvarint(), [str(f.u8()), f.str(), f.str()]
                self.defs[sid] = " ".join(words + [f.str() + "=" + f.str() for _ in range(f.uvarint())])
        elif k.type == 4:
            self.state, self.doubt = State(Fields(k.body).sections()), False
        elif k.type == 5:
            parts = {t: f.b for t, f in Fields(k.body).sections()}
            f = Fields(parts[13])
            assert (f.uvarint(), f.uvarint()) == (self.base, k.base), self.path + ": the index does not agree"
            self.state, self.doubt = State((t, Fields(b)) for t, b in parts.items()), False


def records(k, zstd):
    if k.codec == 2:
        raw = subprocess.run(zstd, input=k.body, stdout=subprocess.PIPE, check=True).stdout
        assert len(raw) == k.raw, "length after zstd"
        return columns(raw, k.count)
    return columns(k.body, k.count) if k.codec == 1 else plain(k.body)


def chains(k, zstd):
    out = [k.chain]
    for r in records(k, zstd):
        out.append(fold(out[-1], r))
    assert len(out) == k.count + 1 and out[-1] == k.chain_end, "chain of the batch at %d" % k.base
    return out


def covered(a, b, spans):
    for lo, hi in sorted(spans):
        if lo <= a < hi:
            a = hi
    return a >= b


def reach(s, later):
    """What a later segment says to have been durable in s, 0 if none does."""
    for t in later:
        if t.state and not (t.moved and t.epoch != s.epoch):
            return t.base if t.epoch == s.epoch else t.parent_end if t.parent == s.epoch else 0
    return 0


def counts(s, segs, state):
    """Whether a segment of an epoch that the newest state does not name counts all the same."""
    if s.moved and covered(s.base, s.end, [(t.base, t.end) for t in segs if t.epoch == s.moved[0]]):
        return False  # of a move that was not finished
    if s.end == s.first and not s.damage:
        return False
    gaps = [g[:2] for g in state.gaps]
    for epoch, _, _, first, end, _, _ in state.epochs:
        a, b = max(first, s.base), min(end, s.end)
        if s.state and a < b and not (s.moved and epoch == s.moved[0] and not covered(a, b, gaps)):
            return False  # these offsets are another epoch's now
    return True


def ends(segs, state):
    """An epoch ends where the next one begins: its child, or what was moved out of it."""
    first = {e[0]: e[3] for e in state.epochs}
    for s in segs:
        first.setdefault(s.epoch, s.first)
    order = sorted((o, e) for e, o in first.items())
    return {e: o for (_, e), (o, _) in zip(order, order[1:] + [(FOREVER, 0)])}


def reach_down(s, segs):
    """Lets an epoch without a header, of which s is the first, begin where what stands below it ends."""
    below = [t for t in segs if t.epoch != s.epoch and t.first < min(s.base, t.end)]
    if below and max(t.end for t in below) < s.base:
        s.first = max(t.end for t in below)
        s.damage.insert(0, (s.first, s.base))


def walk(segs, zstd):
    """(from, to, epoch, chain(from), chain(to)) of records, (from, to, epoch, reason) of gaps; and the newest state."""
    state = State()
    for i, s in enumerate(segs):
        lost, s.state = not s.state, s.state or state
        s.scan(reach(s, segs[i + 1:]))
        if not s.moved:
            state = s.state
        s.state = None if lost else s.state
    named = [e[0] for e in state.epochs]
    segs[:] = [s for s in segs if s.epoch in named or counts(s, segs, state)]
    for i, s in enumerate(segs):
        if not s.state and s.epoch not in named and s.epoch not in [t.epoch for t in segs[:i]]:
            reach_down(s, segs)
    end = ends(segs, state)
    stops = [min([t.base for t in segs[i + 1:] if t.state and t.epoch == s.epoch] + [end[s.epoch]]) for i, s in enumerate(segs)]
    return state, list(items(segs, stops, sorted(state.gaps), zstd))


def items(segs, stops, gaps, zstd):
    for s, stop in zip(segs, stops):
        for a, b in s.damage + [(s.end, stop if stop < FOREVER else 0)]:
            if a < min(b, stop) and not covered(a, min(b, stop), [g[:2] for g in gaps]):
                gaps.append((a, min(b, stop), s.epoch, CORRUPT))
    gaps.sort()
    for s, stop in zip(segs, stops):
        for k in s.batches:
            chain, at, to = chains(k, zstd), k.base, min(k.end, stop)
            for a, b, _, _ in [g for g in gaps if g[1] > k.base and g[0] < to] + [(to, to, 0, 0)]:
                if a > at:
                    yield at, a, s.epoch, chain[at - k.base], chain[a - k.base]
                at = max(at, b)
    yield from gaps


def joined(items):
    out = []
    for it in sorted(items):
        last = out[-1] if out else ()
        if len(last) == len(it) and last[1:3] == (it[0], it[2]) and (len(it) == 5 or last[3] == it[3]):
            out[-1] = (last[0], it[1], it[2], last[3]) + it[4:]
        else:
            out.append(it)
    return out


def ordered(segs):
    out = sorted((s for s in segs if s.state), key=lambda s: (s.opening, s.seq))
    for s in segs:
        if not s.state:
            out.insert(sum(t.base <= s.base for t in out), s)
    return out


def main():
    args, zstd = sys.argv[1:], ["zstd", "-dcq"]
    if args[0] == "--zstd":
        zstd, args = [args[1]], args[2:]
    segs = ordered([Segment(os.path.join(args[0], n)) for n in sorted(os.listdir(args[0])) if n.endswith(".seg")])
    s, found = walk(segs, zstd)
    for it in joined(found):
        line = "records %016x %d %d %016x %016x" if len(it) == 5 else "gap %016x %d %d %d"
        print(line % ((it[2],) + it[:2] + it[3:]))
    for (e, i), d in sorted({(s.epoch, i): d for s in segs for i, d in s.defs.items()}.items()):
        print("series %016x %d %s" % (e, i, d))
    print("delivered %d" % s.delivered)
    for o in s.owed:
        print("owed %d %d %d" % o)
    for name, o in sorted(s.cursors.items()):
        print("cursor %s %d" % (name, o))
    for name, (i, q) in sorted(s.producers.items()):
        print("producer %s %d %d" % (name, i, q))


if __name__ == "__main__":
    main()
