// Preprocessing that is set at run time (dynamic AIPP): crop, scale, colour, swap, mean and variance, padding, in this order.
#include "acl.h"

#define AIPP(name) if (!is(h, K_AIPP)) return fail(100000, #name ": EE1001: not a preprocessing set"); struct aipp *a = (struct aipp *)h
#define ITEM(name) AIPP(name); if (i >= a->batch) return fail(145014, #name ": EE1001: batch index %lu of %lu", (long)i, (long)a->batch)

EXPORT uintptr_t aclmdlCreateAIPP(uint64_t batch) {
	ENTER_PTR(aclmdlCreateAIPP);
	if (!batch || batch > MAX_AIPP) return 0;
	struct aipp *a = make(K_AIPP, sizeof *a);
	a->batch = batch;
	for (uint64_t i = 0; i < batch; i++)
		for (int c = 0; c < 4; c++) a->item[i].reci[c] = 1;
	return (uintptr_t)a;
}
EXPORT int32_t aclmdlDestroyAIPP(uintptr_t h) { ENTER(aclmdlDestroyAIPP); AIPP(aclmdlDestroyAIPP); drop(a, K_AIPP); return 0; }
EXPORT int32_t aclmdlSetAIPPInputFormat(uintptr_t h, int32_t format) {
	ENTER(aclmdlSetAIPPInputFormat);
	AIPP(aclmdlSetAIPPInputFormat);
	if (format != ACL_YUV420SP_U8 && format != ACL_RGB888_U8 && format != ACL_XRGB8888_U8 && format != ACL_YUV400_U8) return fail(100000, "aclmdlSetAIPPInputFormat: EE1001: format %d", format);
	a->format = format;
	return 0;
}
EXPORT int32_t aclmdlSetAIPPSrcImageSize(uintptr_t h, int32_t w, int32_t height) {
	ENTER(aclmdlSetAIPPSrcImageSize);
	AIPP(aclmdlSetAIPPSrcImageSize);
	if (w < 2 || w > 4096 || height < 1 || height > 4096) return fail(100000, "aclmdlSetAIPPSrcImageSize: EE1001: %d by %d", w, height);
	a->w = w, a->h = height;
	return 0;
}
EXPORT int32_t aclmdlSetAIPPCscParams(uintptr_t h, int8_t on, int16_t m0, int16_t m1, int16_t m2, int16_t m3, int16_t m4, int16_t m5, int16_t m6, int16_t m7, int16_t m8,
	uint8_t o0, uint8_t o1, uint8_t o2, uint8_t i0, uint8_t i1, uint8_t i2) {
	ENTER(aclmdlSetAIPPCscParams);
	AIPP(aclmdlSetAIPPCscParams);
	a->csc = on;
	int16_t m[9] = {m0, m1, m2, m3, m4, m5, m6, m7, m8};
	memcpy(a->matrix, m, sizeof m);
	uint8_t o[3] = {o0, o1, o2}, in[3] = {i0, i1, i2};
	memcpy(a->out_bias, o, 3), memcpy(a->in_bias, in, 3);
	return 0;
}
EXPORT int32_t aclmdlSetAIPPRbuvSwapSwitch(uintptr_t h, int8_t on) { ENTER(aclmdlSetAIPPRbuvSwapSwitch); AIPP(aclmdlSetAIPPRbuvSwapSwitch); a->swap = on; return 0; }
EXPORT int32_t aclmdlSetAIPPAxSwapSwitch(uintptr_t h, int8_t on) { ENTER(aclmdlSetAIPPAxSwapSwitch); AIPP(aclmdlSetAIPPAxSwapSwitch); a->ax = on; return 0; }
EXPORT int32_t aclmdlSetAIPPScfParams(uintptr_t h, int8_t on, int32_t iw, int32_t ih, int32_t ow, int32_t oh, uint64_t i) {
	ENTER(aclmdlSetAIPPScfParams);
	ITEM(aclmdlSetAIPPScfParams);
	if (on && (iw < 16 || ih < 16 || ow < 16 || oh < 16 || ow > 1920 || oh > 4096)) return fail(100000, "aclmdlSetAIPPScfParams: EE1001: %d by %d to %d by %d", iw, ih, ow, oh);
	a->item[i].scale = on, a->item[i].sw = ow, a->item[i].sh = oh;
	return 0;
}
EXPORT int32_t aclmdlSetAIPPCropParams(uintptr_t h, int8_t on, int32_t x, int32_t y, int32_t w, int32_t height, uint64_t i) {
	ENTER(aclmdlSetAIPPCropParams);
	ITEM(aclmdlSetAIPPCropParams);
	a->item[i].crop = on, a->item[i].cx = x, a->item[i].cy = y, a->item[i].cw = w, a->item[i].ch = height;
	return 0;
}
EXPORT int32_t aclmdlSetAIPPPaddingParams(uintptr_t h, int8_t on, int32_t top, int32_t bottom, int32_t left, int32_t right, uint64_t i) {
	ENTER(aclmdlSetAIPPPaddingParams);
	ITEM(aclmdlSetAIPPPaddingParams);
	if (on && (top < 0 || bottom < 0 || left < 0 || right < 0 || top > 32 || bottom > 32 || left > 32 || right > 32)) return fail(100000, "aclmdlSetAIPPPaddingParams: EE1001: at most 32 pixels");
	a->item[i].pad = on, a->item[i].top = top, a->item[i].bottom = bottom, a->item[i].left = left, a->item[i].right = right;
	return 0;
}
// CHANNELS sets what each of the four channels has of its own.
#define CHANNELS(name, type, field) \
	EXPORT int32_t name(uintptr_t h, type c0, type c1, type c2, type c3, uint64_t i) { \
		ENTER(name); \
		ITEM(name); \
		type v[4] = {c0, c1, c2, c3}; \
		memcpy(a->item[i].field, v, sizeof v); \
		return 0; \
	}
CHANNELS(aclmdlSetAIPPDtcPixelMean, int16_t, mean)
CHANNELS(aclmdlSetAIPPDtcPixelMin, float, min)
CHANNELS(aclmdlSetAIPPPixelVarReci, float, reci)

size_t aipp_source(const struct aipp *a) {
	size_t n = (size_t)a->w * (size_t)a->h;
	switch (a->format) { case ACL_YUV420SP_U8: return n * 3 / 2; case ACL_RGB888_U8: return n * 3; case ACL_XRGB8888_U8: return n * 4; case ACL_YUV400_U8: return n; }
	return 0;
}
int aipp_size(const struct aipp *a, uint64_t i, uint32_t *w, uint32_t *h) {
	int32_t cw = a->w, ch = a->h;
	if (a->item[i].crop) {
		cw = a->item[i].cw, ch = a->item[i].ch;
		if (a->item[i].cx < 0 || a->item[i].cy < 0 || cw < 1 || ch < 1 || a->item[i].cx + cw > a->w || a->item[i].cy + ch > a->h) return 0;
	}
	if (a->item[i].scale) cw = a->item[i].sw, ch = a->item[i].sh;
	if (a->item[i].pad) cw += a->item[i].left + a->item[i].right, ch += a->item[i].top + a->item[i].bottom;
	*w = (uint32_t)cw, *h = (uint32_t)ch;
	return 1;
}
// pixel reads the three channels of a picture of the set's format.
static void pixel(const struct aipp *a, const uint8_t *p, int32_t x, int32_t y, int *c) {
	switch (a->format) {
	case ACL_RGB888_U8: for (int k = 0; k < 3; k++) c[k] = p[((size_t)y * (size_t)a->w + (size_t)x) * 3 + (size_t)k]; break;
	case ACL_XRGB8888_U8: for (int k = 0; k < 3; k++) c[k] = p[((size_t)y * (size_t)a->w + (size_t)x) * 4 + (size_t)k + (a->ax ? 1 : 0)]; break;
	case ACL_YUV400_U8: c[0] = c[1] = c[2] = p[(size_t)y * (size_t)a->w + (size_t)x]; break;
	default: {
		const uint8_t *uv = p + (size_t)a->w * (size_t)a->h + (size_t)(y / 2) * (size_t)a->w + (size_t)(x & ~1);
		c[0] = p[(size_t)y * (size_t)a->w + (size_t)x], c[1] = uv[0], c[2] = uv[1];
	}
	}
}
void aipp_picture(const struct aipp *a, uint64_t i, const uint8_t *p, float *out, int planar) {
	uint32_t w = 0, h = 0;
	if (!aipp_size(a, i, &w, &h)) return;
	int32_t x0 = a->item[i].crop ? a->item[i].cx : 0, y0 = a->item[i].crop ? a->item[i].cy : 0, cw = a->item[i].crop ? a->item[i].cw : a->w, ch = a->item[i].crop ? a->item[i].ch : a->h;
	int32_t sw = a->item[i].scale ? a->item[i].sw : cw, sh = a->item[i].scale ? a->item[i].sh : ch, left = a->item[i].pad ? a->item[i].left : 0, top = a->item[i].pad ? a->item[i].top : 0;
	for (uint32_t y = 0; y < h; y++)
		for (uint32_t x = 0; x < w; x++) {
			int32_t ix = (int32_t)x - left, iy = (int32_t)y - top;
			float v[3] = {0, 0, 0};
			if (ix >= 0 && iy >= 0 && ix < sw && iy < sh) {
				int c[3];
				pixel(a, p, x0 + ix * cw / sw, y0 + iy * ch / sh, c);
				if (a->swap) { int t = c[1 - (a->format != ACL_YUV420SP_U8)]; c[1 - (a->format != ACL_YUV420SP_U8)] = c[2], c[2] = t; }
				if (a->csc) {
					int r[3];
					for (int k = 0; k < 3; k++) {
						int s = 0;
						for (int q = 0; q < 3; q++) s += a->matrix[k * 3 + q] * (c[q] - a->in_bias[q]);
						r[k] = (s >> 8) + a->out_bias[k];
					}
					for (int k = 0; k < 3; k++) c[k] = r[k] < 0 ? 0 : r[k] > 255 ? 255 : r[k];
				}
				for (int k = 0; k < 3; k++) v[k] = ((float)c[k] - (float)a->item[i].mean[k] - a->item[i].min[k]) * a->item[i].reci[k];
			}
			for (uint32_t k = 0; k < 3; k++) out[planar ? (size_t)k * w * h + (size_t)y * w + x : ((size_t)y * w + x) * 3 + k] = v[k];
		}
}
