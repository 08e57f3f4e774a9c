"""Writes sentences.tsv: sentences, and what pynmea2 1.19.0, an implementation that is not ours, reads in them.

    pip install pynmea2==1.19.0 && python3 generate.py > sentences.tsv
"""
import random

import pynmea2

random.seed(7)


def sentence(body):
    x = 0
    for c in body.encode():
        x ^= c
    return "$%s*%02X" % (body, x)


def degrees(width, most):
    return "%0*d%07.4f" % (width, random.randrange(most), random.uniform(0, 59.9999))


for i in range(24):
    talker = random.choice(["GP", "GN", "GL", "GA"])
    lat, ns, lon, ew = degrees(2, 90), random.choice("NS"), degrees(3, 180), random.choice("EW")
    clock = "%02d%02d%02d.%02d" % (random.randrange(24), random.randrange(60), random.randrange(60), random.randrange(100))
    if i % 2:
        date = "%02d%02d%02d" % (random.randrange(1, 29), random.randrange(1, 13), random.randrange(24, 60))
        s = sentence("%sRMC,%s,A,%s,%s,%s,%s,%.1f,%.1f,%s,,,A" % (talker, clock, lat, ns, lon, ew, random.uniform(0, 200), random.uniform(0, 359.9), date))
        m = pynmea2.parse(s)
        print(s, m.datetime.strftime("%Y-%m-%dT%H:%M:%S.%f"), "%.7f" % m.latitude, "%.7f" % m.longitude,
              "%.3f" % (m.spd_over_grnd * 1852 / 3600), "%.2f" % m.true_course, sep="\t")
    else:
        s = sentence("%sGGA,%s,%s,%s,%s,%s,%d,%02d,%.2f,%.1f,M,47.0,M,," % (talker, clock, lat, ns, lon, ew, random.choice([1, 2, 4]),
                     random.randrange(4, 30), random.uniform(0.5, 9), random.uniform(-50, 4000)))
        m = pynmea2.parse(s)
        print(s, m.gps_qual, "%.7f" % m.latitude, "%.7f" % m.longitude, "%d" % int(m.num_sats), "%.2f" % float(m.horizontal_dil),
              "%.1f" % m.altitude, sep="\t")
