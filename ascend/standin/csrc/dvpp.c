// The media units (libacl_dvpp.so, version 1 of their interface): JPEG decode, crop, resize, colour. Pictures are really
// computed, on the stream's thread. Every rule of alignment, memory and size that is documented for this chip is enforced.
#include "acl.h"
#include "jpeg.h"

struct channeldesc { struct object o; uint32_t mode; struct channel *channel; uint64_t id; };
struct channel { struct object o; };
struct picture { struct object o; void *data; uint32_t size, width, height, wstride, hstride, ret; int32_t format; };
struct roi { struct object o; uint32_t left, right, top, bottom; };
struct resize { struct object o; };
static _Atomic uint64_t channel_ids;

static int planar(int32_t f) { return f == PIXEL_FORMAT_YUV_SEMIPLANAR_420 || f == PIXEL_FORMAT_YVU_SEMIPLANAR_420; }
static int packed(int32_t f) { return f == PIXEL_FORMAT_RGB_888 || f == PIXEL_FORMAT_BGR_888; }
static uint32_t up(uint32_t v, uint32_t to) { return (v + to - 1) / to * to; }
static size_t bytes(int32_t f, uint32_t ws, uint32_t hs) { return planar(f) ? (size_t)ws * hs * 3 / 2 : (size_t)ws * hs; }

EXPORT int32_t acldvppMalloc(void **out, size_t n) {
	ENTER(acldvppMalloc);
	int32_t e = need_context("acldvppMalloc");
	if (e) return e;
	if (!n) return fail(100000, "acldvppMalloc: EE1001: size 0");
	if (gone()) return fail(507899, "acldvppMalloc: EE9999: device lost");
	if (!(*out = device_alloc(current->device, n, 1))) return fail(207001, "acldvppMalloc: EL0004: %zu bytes of media memory are not to be had", n);
	return 0;
}
EXPORT int32_t acldvppFree(void *p) { ENTER(acldvppFree); return p ? device_free("acldvppFree", p, 1) : fail(100000, "acldvppFree: EE1001: NULL"); }

// Channels.
#define CHANNELDESC(name) if (!is(h, K_CHANNELDESC)) return fail(100000, #name ": EE1001: not a channel description"); struct channeldesc *d = (struct channeldesc *)h
EXPORT uintptr_t acldvppCreateChannelDesc(void) {
	ENTER_PTR(acldvppCreateChannelDesc);
	struct channeldesc *d = make(K_CHANNELDESC, sizeof *d);
	d->mode = DVPP_CHNMODE_VPC | DVPP_CHNMODE_JPEGD | DVPP_CHNMODE_JPEGE;
	return (uintptr_t)d;
}
EXPORT int32_t acldvppDestroyChannelDesc(uintptr_t h) {
	ENTER(acldvppDestroyChannelDesc);
	CHANNELDESC(acldvppDestroyChannelDesc);
	if (d->channel) return fail(100000, "acldvppDestroyChannelDesc: EE1001: its channel is open");
	drop(d, K_CHANNELDESC);
	return 0;
}
EXPORT int32_t acldvppSetChannelDescMode(uintptr_t h, uint32_t mode) {
	ENTER(acldvppSetChannelDescMode);
	CHANNELDESC(acldvppSetChannelDescMode);
	if (!mode || mode > 15) return fail(100000, "acldvppSetChannelDescMode: EE1001: mode %u", mode);
	d->mode = mode;
	return 0;
}
EXPORT uint64_t acldvppGetChannelDescChannelId(uintptr_t h) { ENTER_PTR(acldvppGetChannelDescChannelId); return is(h, K_CHANNELDESC) ? ((struct channeldesc *)h)->id : 0; }
EXPORT int32_t acldvppCreateChannel(uintptr_t h) {
	ENTER(acldvppCreateChannel);
	CHANNELDESC(acldvppCreateChannel);
	int32_t e = need_context("acldvppCreateChannel");
	if (e) return e;
	if (gone()) return fail(507899, "acldvppCreateChannel: EE9999: device lost");
	if (d->channel) return fail(100000, "acldvppCreateChannel: EE1001: it is open");
	d->channel = make(K_CHANNEL, sizeof *d->channel);
	d->id = atomic_fetch_add(&channel_ids, 1) % 256;
	return 0;
}
EXPORT int32_t acldvppDestroyChannel(uintptr_t h) {
	ENTER(acldvppDestroyChannel);
	CHANNELDESC(acldvppDestroyChannel);
	if (!d->channel) return fail(100000, "acldvppDestroyChannel: EE1001: it is not open");
	drop(d->channel, K_CHANNEL);
	d->channel = 0;
	return 0;
}

// Descriptions.
#define PICTURE(name) if (!is(h, K_PICTURE)) return fail(100000, #name ": EE1001: not a picture description"); struct picture *p = (struct picture *)h
EXPORT uintptr_t acldvppCreatePicDesc(void) { ENTER_PTR(acldvppCreatePicDesc); return (uintptr_t)make(K_PICTURE, sizeof(struct picture)); }
EXPORT int32_t acldvppDestroyPicDesc(uintptr_t h) { ENTER(acldvppDestroyPicDesc); PICTURE(acldvppDestroyPicDesc); drop(p, K_PICTURE); return 0; }
#define SETTER(name, type, field) EXPORT int32_t acldvppSetPicDesc##name(uintptr_t h, type v) { ENTER(acldvppSetPicDesc##name); PICTURE(acldvppSetPicDesc##name); p->field = v; return 0; }
SETTER(Data, void *, data)
SETTER(Size, uint32_t, size)
SETTER(Format, int32_t, format)
SETTER(Width, uint32_t, width)
SETTER(Height, uint32_t, height)
SETTER(WidthStride, uint32_t, wstride)
SETTER(HeightStride, uint32_t, hstride)
#define GETTER(name, type, field) EXPORT type acldvppGetPicDesc##name(uintptr_t h) { ENTER_PTR(acldvppGetPicDesc##name); return is(h, K_PICTURE) ? ((struct picture *)h)->field : 0; }
GETTER(Size, uint32_t, size)
GETTER(Format, int32_t, format)
GETTER(Width, uint32_t, width)
GETTER(Height, uint32_t, height)
GETTER(WidthStride, uint32_t, wstride)
GETTER(HeightStride, uint32_t, hstride)
GETTER(RetCode, uint32_t, ret)
EXPORT uintptr_t acldvppCreateRoiConfig(uint32_t left, uint32_t right, uint32_t top, uint32_t bottom) {
	ENTER_PTR(acldvppCreateRoiConfig);
	struct roi *r = make(K_ROI, sizeof *r);
	r->left = left, r->right = right, r->top = top, r->bottom = bottom;
	return (uintptr_t)r;
}
EXPORT int32_t acldvppSetRoiConfig(uintptr_t h, uint32_t left, uint32_t right, uint32_t top, uint32_t bottom) {
	ENTER(acldvppSetRoiConfig);
	if (!is(h, K_ROI)) return fail(100000, "acldvppSetRoiConfig: EE1001: not a region");
	struct roi *r = (struct roi *)h;
	r->left = left, r->right = right, r->top = top, r->bottom = bottom;
	return 0;
}
EXPORT int32_t acldvppDestroyRoiConfig(uintptr_t h) { ENTER(acldvppDestroyRoiConfig); if (!is(h, K_ROI)) return fail(100000, "acldvppDestroyRoiConfig: EE1001: not a region"); drop((void *)h, K_ROI); return 0; }
EXPORT uintptr_t acldvppCreateResizeConfig(void) { ENTER_PTR(acldvppCreateResizeConfig); return (uintptr_t)make(K_RESIZE, sizeof(struct resize)); }
EXPORT int32_t acldvppDestroyResizeConfig(uintptr_t h) { ENTER(acldvppDestroyResizeConfig); if (!is(h, K_RESIZE)) return fail(100000, "acldvppDestroyResizeConfig: EE1001: not a resize configuration"); drop((void *)h, K_RESIZE); return 0; }

// JPEG.
static int32_t look(const char *name, const void *data, uint32_t n, struct jpeg *j) {
	uint8_t *real;
	if (!data || locate(data, n, &real) >= DEVICE) return fail(100000, "%s: EE1001: the data is not in host memory", name);
	int e = jpeg_info(data, n, j);
	if (e == JPEG_UNSUPPORTED) return fail(148052, "%s: EE1001: only baseline JPEG is decoded", name);
	return e ? fail(100000, "%s: EE1001: this is not a JPEG picture", name) : 0;
}
EXPORT int32_t acldvppJpegGetImageInfoV2(void *data, uint32_t n, uint32_t *w, uint32_t *h, int32_t *components, int32_t *format) {
	ENTER(acldvppJpegGetImageInfoV2);
	struct jpeg j;
	int32_t e = look("acldvppJpegGetImageInfoV2", data, n, &j);
	if (!e) *w = j.width, *h = j.height, *components = j.components, *format = j.sampling;
	return e;
}
EXPORT int32_t acldvppJpegPredictDecSize(void *data, uint32_t n, int32_t format, uint32_t *size) {
	ENTER(acldvppJpegPredictDecSize);
	struct jpeg j;
	int32_t e = look("acldvppJpegPredictDecSize", data, n, &j);
	if (e) return e;
	if (!planar(format)) return fail(100000, "acldvppJpegPredictDecSize: EE1001: format %d", format);
	*size = (uint32_t)bytes(format, up(j.width, 64), up(j.height, 16));
	return 0;
}

struct work { int kind; struct picture *in, *out, pin, pout; const uint8_t *src; uint8_t *dst; size_t n; uint32_t left, top, w, h; };
enum { W_DECODE = 1, W_RESIZE, W_COLOUR };

static uint8_t clamp(float v) { return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5f); }

static uint32_t decode(struct work *k) {
	struct jpeg j;
	struct picture *o = &k->pout;
	int e = jpeg_decode(k->src, k->n, &j);
	if (e) return e == JPEG_UNSUPPORTED ? 148052 : 100000;
	uint32_t w = j.width & ~1u, h = j.height & ~1u, ws = up(j.width, 64), hs = up(j.height, 16); // odd sizes are rounded down
	if (j.width < 32 || j.height < 32 || j.width > 8192 || j.height > 8192 || bytes(o->format, ws, hs) > o->size) { jpeg_free(&j); return 100000; }
	uint8_t *y = k->dst, *c = k->dst + (size_t)ws * hs;
	int swap = o->format == PIXEL_FORMAT_YVU_SEMIPLANAR_420;
	for (uint32_t row = 0; row < h; row++) memcpy(y + (size_t)row * ws, j.plane[0].p + (size_t)row * j.plane[0].stride, w);
	for (uint32_t row = 0; row < h / 2; row++)
		for (uint32_t x = 0; x < w / 2; x++)
			for (int i = 0; i < 2; i++) {
				uint32_t v = 128;
				if (j.components == 3) { // the mean of the samples that belong to these four pixels
					uint32_t fh = j.plane[1].h, fv = j.plane[1].v, sum = 0;
					for (uint32_t d = 0; d < 4; d++) sum += j.plane[1 + i].p[(size_t)((2 * row + d / 2) / fv) * j.plane[1 + i].stride + (2 * x + d % 2) / fh];
					v = (sum + 2) / 4;
				}
				c[(size_t)row * ws + 2 * x + (uint32_t)(i ^ swap)] = (uint8_t)v;
			}
	jpeg_free(&j);
	k->out->width = w, k->out->height = h, k->out->wstride = ws, k->out->hstride = hs;
	return 0;
}

// plane scales one plane of step interleaved channels, bilinear, from the region.
static void plane(const uint8_t *in, uint32_t ws, uint32_t left, uint32_t top, uint32_t w, uint32_t h, uint8_t *out, uint32_t os, uint32_t ow, uint32_t oh, uint32_t step) {
	for (uint32_t y = 0; y < oh; y++) {
		float fy = ((float)y + 0.5f) * (float)h / (float)oh - 0.5f;
		if (fy < 0) fy = 0;
		uint32_t y0 = (uint32_t)fy, y1 = y0 + 1 < h ? y0 + 1 : h - 1;
		float dy = fy - (float)y0;
		const uint8_t *a = in + (size_t)(top + y0) * ws + left * step, *b = in + (size_t)(top + y1) * ws + left * step;
		for (uint32_t x = 0; x < ow; x++) {
			float fx = ((float)x + 0.5f) * (float)w / (float)ow - 0.5f;
			if (fx < 0) fx = 0;
			uint32_t x0 = (uint32_t)fx, x1 = x0 + 1 < w ? x0 + 1 : w - 1;
			float dx = fx - (float)x0;
			for (uint32_t c = 0; c < step; c++) {
				float t = (float)a[x0 * step + c] * (1 - dx) + (float)a[x1 * step + c] * dx, u = (float)b[x0 * step + c] * (1 - dx) + (float)b[x1 * step + c] * dx;
				out[(size_t)y * os + x * step + c] = clamp(t * (1 - dy) + u * dy);
			}
		}
	}
}
static uint32_t scale(struct work *k) {
	struct picture *i = k->in, *o = &k->pout;
	if (packed(o->format)) {
		plane(k->src, i->wstride, k->left, k->top, k->w, k->h, k->dst, o->wstride, o->width, o->height, 3);
		return 0;
	}
	plane(k->src, i->wstride, k->left, k->top, k->w, k->h, k->dst, o->wstride, o->width, o->height, 1);
	plane(k->src + (size_t)i->wstride * i->hstride, i->wstride, k->left / 2, k->top / 2, k->w / 2, k->h / 2, k->dst + (size_t)o->wstride * o->hstride, o->wstride, o->width / 2, o->height / 2, 2);
	return 0;
}
// chroma is the sample of a half-size plane at a pixel, bilinear between the centres.
static float chroma(const uint8_t *p, uint32_t stride, uint32_t w, uint32_t h, uint32_t x, uint32_t y, int which) {
	float fx = ((float)x - 0.5f) / 2, fy = ((float)y - 0.5f) / 2;
	if (fx < 0) fx = 0;
	if (fy < 0) fy = 0;
	uint32_t x0 = (uint32_t)fx, y0 = (uint32_t)fy, x1 = x0 + 1 < w ? x0 + 1 : w - 1, y1 = y0 + 1 < h ? y0 + 1 : h - 1;
	float dx = fx - (float)x0, dy = fy - (float)y0;
	const uint8_t *a = p + (size_t)y0 * stride + which, *b = p + (size_t)y1 * stride + which;
	return ((float)a[x0 * 2] * (1 - dx) + (float)a[x1 * 2] * dx) * (1 - dy) + ((float)b[x0 * 2] * (1 - dx) + (float)b[x1 * 2] * dx) * dy;
}
static uint32_t colour(struct work *k) {
	struct picture *i = &k->pin, *o = &k->pout;
	int yvu = i->format == PIXEL_FORMAT_YVU_SEMIPLANAR_420, bgr = o->format == PIXEL_FORMAT_BGR_888;
	const uint8_t *c = k->src + (size_t)i->wstride * i->hstride;
	for (uint32_t y = 0; y < o->height; y++)
		for (uint32_t x = 0; x < o->width; x++) {
			float l = k->src[(size_t)y * i->wstride + x];
			float u = chroma(c, i->wstride, o->width / 2, o->height / 2, x, y, yvu) - 128, v = chroma(c, i->wstride, o->width / 2, o->height / 2, x, y, !yvu) - 128;
			uint8_t *p = k->dst + (size_t)y * o->wstride + x * 3;
			p[bgr ? 2 : 0] = clamp(l + 1.402f * v), p[1] = clamp(l - 0.344136f * u - 0.714136f * v), p[bgr ? 0 : 2] = clamp(l + 1.772f * u);
		}
	return 0;
}

// media runs one step on the stream. A picture that cannot be decoded is told in its description; a unit that fails, by
// the stream.
static int32_t media(void *arg) {
	struct work *k = arg;
	COUNT(media);
	if (atomic_load(&rules_active)) { struct verdict v = standin_rule(&site_); if (v.hit) return (int32_t)v.code; }
	pause_us(atomic_load(&shared->media_us));
	if (k->in && k->in->ret) { k->out->ret = k->in->ret; return 0; } // there is nothing to work on
	if (k->in && (k->in->width < k->left + k->w || k->in->height < k->top + k->h)) { k->out->ret = 100000; return 0; }
	k->out->ret = k->kind == W_DECODE ? decode(k) : k->kind == W_RESIZE ? scale(k) : colour(k);
	if (!k->out->ret && atomic_load(&shared->media_wrong)) memset(k->dst, 0, k->pout.wstride * 8);
	return 0;
}

// ready checks a picture by the rules of the scaling unit.
static int32_t ready(const char *name, struct picture *p, uint8_t **real, int out) {
	uint32_t per = packed(p->format) ? 3 : 1;
	if (!planar(p->format) && !packed(p->format)) return fail(100000, "%s: EE1001: format %d", name, p->format);
	if (p->width < 10 || p->height < 6 || p->width > (out ? 4096u : 8192u) || p->height > (out ? 4096u : 8192u) || (p->width & 1) || (p->height & 1)) return fail(100000, "%s: EE1001: %u by %u pixels", name, p->width, p->height);
	if (p->wstride % (16 * per) || p->wstride < p->width * per || p->wstride < 32 || p->wstride > 16384 * per) return fail(100000, "%s: EE1001: width stride %u for width %u", name, p->wstride, p->width);
	if ((p->hstride & 1) || p->hstride < p->height || p->hstride < 6 || p->hstride > 16384) return fail(100000, "%s: EE1001: height stride %u for height %u", name, p->hstride, p->height);
	if (p->size < bytes(p->format, p->wstride, p->hstride)) return fail(100000, "%s: EE1001: %u bytes are too few", name, p->size);
	if (!locate_media(p->data, p->size, real)) return fail(100000, "%s: EE1001: the picture is not in memory of acldvppMalloc", name);
	if ((uintptr_t)p->data % 128) return fail(200003, "%s: EE1001: %p is not aligned to 128", name, p->data);
	return 0;
}
static int32_t open_channel(const char *name, uintptr_t h, uint32_t mode) {
	if (!is(h, K_CHANNELDESC) || !((struct channeldesc *)h)->channel) return fail(100000, "%s: EE1001: the channel is not open", name);
	if (!(((struct channeldesc *)h)->mode & mode)) return fail(100000, "%s: EE1001: the channel was not opened for this", name);
	return 0;
}
static int32_t enqueue(struct stream *s, struct work k) {
	struct work *copy = malloc(sizeof k);
	*copy = k;
	return push(s, (struct task){.kind = T_CALL, .call = media, .arg = copy});
}

EXPORT int32_t acldvppJpegDecodeAsync(uintptr_t c, void *data, uint32_t n, uintptr_t h, uintptr_t stream) {
	ENTER(acldvppJpegDecodeAsync);
	struct stream *s = 0;
	struct work k = {.kind = W_DECODE, .n = n};
	uint8_t *src;
	int32_t e = open_channel("acldvppJpegDecodeAsync", c, DVPP_CHNMODE_JPEGD);
	if (!e) e = need_stream("acldvppJpegDecodeAsync", stream, &s);
	if (e) return e;
	PICTURE(acldvppJpegDecodeAsync);
	if (!planar(p->format)) return fail(100000, "acldvppJpegDecodeAsync: EE1001: format %d", p->format);
	if (!locate_media(data, n, &src) || !locate_media(p->data, p->size, &k.dst)) return fail(100000, "acldvppJpegDecodeAsync: EE1001: data or picture is not in memory of acldvppMalloc");
	if ((p->wstride && p->wstride % 64) || (p->hstride && p->hstride % 16) || (uintptr_t)data % 128) return fail(200003, "acldvppJpegDecodeAsync: EE1001: strides %u, %u", p->wstride, p->hstride);
	k.src = src, k.out = p, k.pout = *p;
	return enqueue(s, k);
}
static int32_t scaled(const char *name, uintptr_t c, uintptr_t in, uintptr_t out, uintptr_t roi, int whole, int config, uintptr_t stream) {
	struct stream *s = 0;
	struct work k = {.kind = W_RESIZE};
	uint8_t *src;
	int32_t e = open_channel(name, c, DVPP_CHNMODE_VPC);
	if (!e) e = need_stream(name, stream, &s);
	if (e) return e;
	if (!is(in, K_PICTURE) || !is(out, K_PICTURE)) return fail(100000, "%s: EE1001: not a picture description", name);
	if (!config) return fail(100000, "%s: EE1001: not a resize configuration", name);
	k.in = (struct picture *)in, k.out = (struct picture *)out;
	if ((e = ready(name, k.in, &src, 0)) || (e = ready(name, k.out, &k.dst, 1))) return e;
	if (k.in->format != k.out->format) return fail(100000, "%s: EE1001: the formats differ", name);
	k.src = src, k.pin = *k.in, k.pout = *k.out, k.w = k.in->width, k.h = k.in->height;
	if (!whole) {
		struct roi *r = (struct roi *)roi;
		if (!is(roi, K_ROI)) return fail(100000, "%s: EE1001: not a region", name);
		if ((r->left & 1) || (r->top & 1) || !(r->right & 1) || !(r->bottom & 1)) return fail(100000, "%s: EE1001: left and top are even, right and bottom odd", name);
		if (r->right <= r->left || r->bottom <= r->top || r->right >= k.w || r->bottom >= k.h) return fail(100000, "%s: EE1001: the region is not inside the picture", name);
		k.left = r->left, k.top = r->top, k.w = r->right - r->left + 1, k.h = r->bottom - r->top + 1;
		if (k.w < 10 || k.h < 6) return fail(100000, "%s: EE1001: the region is too small", name);
	}
	return enqueue(s, k);
}
EXPORT int32_t acldvppVpcResizeAsync(uintptr_t c, uintptr_t in, uintptr_t out, uintptr_t config, uintptr_t s) { ENTER(acldvppVpcResizeAsync); return scaled("acldvppVpcResizeAsync", c, in, out, 0, 1, is(config, K_RESIZE), s); }
EXPORT int32_t acldvppVpcCropAsync(uintptr_t c, uintptr_t in, uintptr_t out, uintptr_t roi, uintptr_t s) { ENTER(acldvppVpcCropAsync); return scaled("acldvppVpcCropAsync", c, in, out, roi, 0, 1, s); }
EXPORT int32_t acldvppVpcCropResizeAsync(uintptr_t c, uintptr_t in, uintptr_t out, uintptr_t roi, uintptr_t config, uintptr_t s) { ENTER(acldvppVpcCropResizeAsync); return scaled("acldvppVpcCropResizeAsync", c, in, out, roi, 0, is(config, K_RESIZE), s); }
EXPORT int32_t acldvppVpcConvertColorAsync(uintptr_t c, uintptr_t in, uintptr_t out, uintptr_t stream) {
	ENTER(acldvppVpcConvertColorAsync);
	struct stream *s = 0;
	struct work k = {.kind = W_COLOUR};
	uint8_t *src;
	int32_t e = open_channel("acldvppVpcConvertColorAsync", c, DVPP_CHNMODE_VPC);
	if (!e) e = need_stream("acldvppVpcConvertColorAsync", stream, &s);
	if (e) return e;
	if (!is(in, K_PICTURE) || !is(out, K_PICTURE)) return fail(100000, "acldvppVpcConvertColorAsync: EE1001: not a picture description");
	k.in = (struct picture *)in, k.out = (struct picture *)out;
	if ((e = ready("acldvppVpcConvertColorAsync", k.in, &src, 0)) || (e = ready("acldvppVpcConvertColorAsync", k.out, &k.dst, 1))) return e;
	if (k.in->width != k.out->width || k.in->height != k.out->height) return fail(100000, "acldvppVpcConvertColorAsync: EE1001: the sizes differ");
	if (!planar(k.in->format) || !packed(k.out->format)) return fail(100000, "acldvppVpcConvertColorAsync: EE1001: format %d to %d", k.in->format, k.out->format);
	k.src = src, k.pin = *k.in, k.pout = *k.out, k.w = k.in->width, k.h = k.in->height;
	return enqueue(s, k);
}
