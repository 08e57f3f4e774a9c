// What a media unit of this chip generation takes: ITU-T T.81 baseline: sequential, Huffman coded, 8 bits, one or three
// components, whose first is sampled finest. Everything else is refused, as the unit refuses it.
#include "jpeg.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct huffman { int set; int32_t max[17], base[17]; uint8_t value[256]; };
struct component { int id, h, v, q, dc, ac, last; };
struct reader {
	const uint8_t *p, *end;
	struct jpeg *out;
	struct component c[3];
	uint16_t quant[4][64];
	struct huffman table[2][4];
	int restart, planned; // MCUs between restarts; a frame header was seen
	uint32_t bits;
	int have, ended;
};

static const uint8_t order[64] = {0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

static int word(const uint8_t *p) { return p[0] << 8 | p[1]; }

static int read_quant(struct reader *r, const uint8_t *p, size_t n) {
	while (n > 0) {
		int wide = p[0] >> 4, id = p[0] & 15;
		size_t need = 1 + 64 * (size_t)(wide + 1);
		if (wide > 1 || id > 3 || n < need) return JPEG_BROKEN;
		for (int i = 0; i < 64; i++) r->quant[id][order[i]] = (uint16_t)(wide ? word(p + 1 + 2 * i) : p[1 + i]);
		p += need, n -= need;
	}
	return JPEG_OK;
}

static int read_huffman(struct reader *r, const uint8_t *p, size_t n) {
	while (n > 0) {
		if (n < 17 || p[0] >> 4 > 1 || (p[0] & 15) > 3) return JPEG_BROKEN;
		struct huffman *h = &r->table[p[0] >> 4][p[0] & 15];
		int32_t code = 0, at = 0;
		memset(h, 0, sizeof *h);
		for (int len = 1; len <= 16; len++) {
			int count = p[len];
			h->base[len] = at - code;
			code += count, at += count;
			if (at > 256 || code > 1 << len) return JPEG_BROKEN;
			h->max[len] = count ? code - 1 : -1;
			code <<= 1;
		}
		if (n < 17 + (size_t)at) return JPEG_BROKEN;
		memcpy(h->value, p + 17, (size_t)at);
		h->set = 1;
		p += 17 + at, n -= 17 + (size_t)at;
	}
	return JPEG_OK;
}

static int sampling(struct reader *r) {
	struct component *c = r->c;
	if (r->out->components == 1) { c[0].h = c[0].v = 1; return 3; }
	if (c[1].h != 1 || c[1].v != 1 || c[2].h != 1 || c[2].v != 1) return -1;
	switch (c[0].h << 4 | c[0].v) { case 0x11: return 0; case 0x21: return 1; case 0x22: return 2; case 0x12: return 4; case 0x41: return 5; }
	return -1;
}

static int read_frame(struct reader *r, const uint8_t *p, size_t n) {
	struct jpeg *j = r->out;
	if (n < 6 || r->planned) return JPEG_BROKEN;
	j->height = (uint32_t)word(p + 1), j->width = (uint32_t)word(p + 3), j->components = p[5];
	if (p[0] != 8 || (p[5] != 1 && p[5] != 3)) return JPEG_UNSUPPORTED;
	if (n < 6 + 3 * (size_t)p[5] || !j->width || !j->height) return JPEG_BROKEN;
	for (int i = 0; i < p[5]; i++) {
		const uint8_t *q = p + 6 + 3 * i;
		r->c[i] = (struct component){.id = q[0], .h = q[1] >> 4, .v = q[1] & 15, .q = q[2]};
		if (q[2] > 3) return JPEG_BROKEN;
	}
	if ((j->sampling = sampling(r)) < 0) return JPEG_UNSUPPORTED;
	r->planned = 1;
	return JPEG_OK;
}

static int read_scan(struct reader *r, const uint8_t *p, size_t n) {
	int comps = r->out->components;
	if (!r->planned || n < 1) return JPEG_BROKEN;
	if (p[0] != comps) return JPEG_UNSUPPORTED; // one scan holds everything
	if (n < 4 + 2 * (size_t)comps) return JPEG_BROKEN;
	for (int i = 0; i < comps; i++) {
		const uint8_t *q = p + 1 + 2 * i;
		if (q[0] != r->c[i].id || q[1] >> 4 > 3 || (q[1] & 15) > 3) return JPEG_BROKEN;
		r->c[i].dc = q[1] >> 4, r->c[i].ac = q[1] & 15;
		if (!r->table[0][r->c[i].dc].set || !r->table[1][r->c[i].ac].set) return JPEG_BROKEN;
	}
	return JPEG_OK;
}

static int bit(struct reader *r) {
	if (r->have == 0) {
		if (r->p >= r->end) { r->ended = 1; return 0; }
		uint8_t b = *r->p;
		if (b == 0xFF) {
			if (r->p + 1 >= r->end || r->p[1] != 0) { r->ended = 1; return 0; } // a marker: zeros until it is handled
			r->p++;
		}
		r->p++;
		r->bits = b, r->have = 8;
	}
	return r->bits >> --r->have & 1;
}

static int symbol(struct reader *r, struct huffman *h) {
	int32_t code = 0;
	for (int len = 1; len <= 16 && !r->ended; len++) {
		code = code << 1 | bit(r);
		if (h->max[len] >= 0 && code <= h->max[len]) return h->value[(code + h->base[len]) & 255];
	}
	return -1;
}

static int extend(struct reader *r, int n) {
	int v = 0;
	for (int i = 0; i < n; i++) v = v << 1 | bit(r);
	return n && v < 1 << (n - 1) ? v - (1 << n) + 1 : v;
}

static void inverse(const float *in, uint8_t *out, uint32_t stride) {
	static float cosine[8][8];
	static _Atomic int made;
	float t[64];
	if (!made) {
		for (int x = 0; x < 8; x++)
			for (int u = 0; u < 8; u++) cosine[x][u] = (float)((u ? 0.5 : sqrt(0.125)) * cos((2 * x + 1) * u * acos(-1.0) / 16));
		made = 1;
	}
	for (int v = 0; v < 8; v++)
		for (int x = 0; x < 8; x++) {
			float s = 0;
			for (int u = 0; u < 8; u++) s += cosine[x][u] * in[v * 8 + u];
			t[v * 8 + x] = s;
		}
	for (int y = 0; y < 8; y++)
		for (int x = 0; x < 8; x++) {
			float s = 128;
			for (int v = 0; v < 8; v++) s += cosine[y][v] * t[v * 8 + x];
			out[(uint32_t)y * stride + (uint32_t)x] = s <= 0 ? 0 : s >= 255 ? 255 : (uint8_t)lrintf(s);
		}
}

static int block(struct reader *r, struct component *c, uint8_t *out, uint32_t stride) {
	float f[64] = {0};
	const uint16_t *q = r->quant[c->q];
	int n = symbol(r, &r->table[0][c->dc]);
	if (n < 0 || n > 11) return JPEG_BROKEN;
	c->last += extend(r, n);
	f[0] = (float)(c->last * q[0]);
	for (int k = 1; k < 64; k++) {
		int s = symbol(r, &r->table[1][c->ac]);
		if (s < 0) return JPEG_BROKEN;
		if (!(s & 15)) {
			if (s != 0xF0) break;
			k += 15;
			continue;
		}
		if ((k += s >> 4) > 63) return JPEG_BROKEN;
		f[order[k]] = (float)(extend(r, s & 15) * q[order[k]]);
	}
	if (r->ended) return JPEG_BROKEN;
	inverse(f, out, stride);
	return JPEG_OK;
}

static int next_interval(struct reader *r) {
	r->have = 0, r->ended = 0;
	while (r->p + 1 < r->end && *r->p == 0xFF && r->p[1] == 0xFF) r->p++;
	if (r->p + 1 >= r->end || r->p[0] != 0xFF || r->p[1] < 0xD0 || r->p[1] > 0xD7) return JPEG_BROKEN;
	r->p += 2;
	for (int i = 0; i < 3; i++) r->c[i].last = 0;
	return JPEG_OK;
}

static int read_data(struct reader *r) {
	struct jpeg *j = r->out;
	uint32_t hm = (uint32_t)r->c[0].h, vm = (uint32_t)r->c[0].v;
	uint32_t across = (j->width + 8 * hm - 1) / (8 * hm), down = (j->height + 8 * vm - 1) / (8 * vm);
	for (int i = 0; i < j->components; i++) {
		struct component *c = &r->c[i];
		j->plane[i].h = hm / (uint32_t)c->h, j->plane[i].v = vm / (uint32_t)c->v;
		j->plane[i].stride = across * 8 * (uint32_t)c->h, j->plane[i].rows = down * 8 * (uint32_t)c->v;
		if (!(j->plane[i].p = calloc(j->plane[i].stride, j->plane[i].rows))) return JPEG_BROKEN;
	}
	for (uint32_t m = 0; m < across * down; m++) {
		if (r->restart && m && m % (uint32_t)r->restart == 0 && next_interval(r)) return JPEG_BROKEN;
		for (int i = 0; i < j->components; i++) {
			struct component *c = &r->c[i];
			for (int k = 0; k < c->h * c->v; k++) {
				uint32_t x = (m % across * (uint32_t)c->h + (uint32_t)(k % c->h)) * 8, y = (m / across * (uint32_t)c->v + (uint32_t)(k / c->h)) * 8;
				int e = block(r, c, j->plane[i].p + (size_t)y * j->plane[i].stride + x, j->plane[i].stride);
				if (e) return e;
			}
		}
	}
	return JPEG_OK;
}

static int run(const uint8_t *p, size_t n, struct jpeg *out, int decode) {
	struct reader r = {.p = p, .end = p + n, .out = out};
	memset(out, 0, sizeof *out);
	if (n < 4 || p[0] != 0xFF || p[1] != 0xD8) return JPEG_BROKEN;
	for (r.p += 2; r.p + 4 <= r.end;) {
		if (r.p[0] != 0xFF) return JPEG_BROKEN;
		int marker = r.p[1], e = JPEG_OK;
		if (marker == 0xFF) { r.p++; continue; }
		size_t len = (size_t)word(r.p + 2);
		if (len < 2 || r.p + 2 + len > r.end) return JPEG_BROKEN;
		const uint8_t *body = r.p + 4;
		len -= 2;
		r.p = body + len;
		if (marker == 0xDB) e = read_quant(&r, body, len);
		else if (marker == 0xC4) e = read_huffman(&r, body, len);
		else if (marker == 0xC0) { if ((e = read_frame(&r, body, len)) == JPEG_OK && !decode) return JPEG_OK; }
		else if (marker >= 0xC1 && marker <= 0xCF && marker != 0xC8) e = JPEG_UNSUPPORTED;
		else if (marker == 0xDD) e = len < 2 ? JPEG_BROKEN : (r.restart = word(body), JPEG_OK);
		else if (marker == 0xDA) return (e = read_scan(&r, body, len)) ? e : read_data(&r);
		else if (marker == 0xD9) return JPEG_BROKEN;
		if (e) return e;
	}
	return JPEG_BROKEN;
}

int jpeg_info(const uint8_t *p, size_t n, struct jpeg *out) { return run(p, n, out, 0); }
int jpeg_decode(const uint8_t *p, size_t n, struct jpeg *out) {
	int e = run(p, n, out, 1);
	if (e) jpeg_free(out);
	return e;
}
void jpeg_free(struct jpeg *j) {
	for (int i = 0; i < 3; i++) free(j->plane[i].p), j->plane[i].p = 0;
}
