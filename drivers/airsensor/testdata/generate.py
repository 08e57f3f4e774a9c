"""Writes frames.tsv: frames, and what PyPMS 0.8.1, an implementation that is not ours, reads in them.

    pip install PyPMS==0.8.1 && python3 generate.py > frames.tsv
"""
import random
import struct

from pms.core import Sensor

random.seed(5)


def plantower():
    body = struct.pack(">H13H", 28, *[random.randrange(0, 1000) for _ in range(12)], 0x9700)
    frame = b"BM" + body
    return frame + struct.pack(">H", sum(frame))


def nova():
    body = struct.pack("<HH", random.randrange(1, 9990), random.randrange(1, 9990)) + bytes(random.randrange(256) for _ in range(2))
    return b"\xaa\xc0" + body + bytes([sum(body) % 256, 0xAB])


def winsen():
    body = b"\x86" + struct.pack(">H", random.randrange(400, 5000)) + bytes(random.randrange(256) for _ in range(4))
    return b"\xff" + body + bytes([-sum(body) % 256])


for model, name, make, count in (("pms5003", "PMSx003", plantower, 8), ("sds011", "SDS01x", nova, 8), ("mh-z19", "MHZ19B", winsen, 8)):
    for _ in range(count):
        frame = make()
        o = Sensor[name].decode(frame)
        if model == "pms5003":  # particles as PyPMS gives them are in a cm³, in the frame in 100
            n = [round(100 * v) for v in (o.n0_3, o.n0_5, o.n1_0, o.n2_5, o.n5_0, o.n10_0)]
            values = [o.raw01, o.raw25, o.raw10, o.pm01, o.pm25, o.pm10] + n
        elif model == "sds011":
            values = ["%.1f" % o.pm25, "%.1f" % o.pm10]
        else:
            values = [o.CO2]
        print(model, frame.hex(), " ".join(map(str, values)), sep="\t")
