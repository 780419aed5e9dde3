// I420 (BT.601, limited range) to RGB, cropped, scaled and, for a picture that is not live, greyed and darkened.

struct Params {
    // Part of the picture that fills the viewport: left, top, width, height in texture coordinates.
    crop: vec4<f32>,
    // Luma size in pixels, then 1 / size.
    size: vec4<f32>,
    // Saturation, brightness, bicubic (0 or 1), linear output (0 or 1).
    look: vec4<f32>,
    // Part of the picture on screen that fills the viewport: left, top, width, height in pixels.
    seen: vec4<f32>,
    // Width and height of the whole picture on screen, radius of its corners, in pixels.
    shape: vec4<f32>,
};

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var linear_sampler: sampler;
@group(0) @binding(2) var plane_y: texture_2d<f32>;
@group(0) @binding(3) var plane_u: texture_2d<f32>;
@group(0) @binding(4) var plane_v: texture_2d<f32>;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
    @location(1) at: vec2<f32>,
};

// One triangle that covers the viewport.
@vertex
fn vs_main(@builtin(vertex_index) index: u32) -> Corner {
    let at = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    var out: Corner;
    out.position = vec4<f32>(at.x * 2.0 - 1.0, 1.0 - at.y * 2.0, 0.0, 1.0);
    out.uv = params.crop.xy + at * params.crop.zw;
    out.at = params.seen.xy + at * params.seen.zw;
    return out;
}

// Catmull-Rom by nine bilinear fetches: sharper than bilinear when the picture is enlarged.
fn luma_bicubic(uv: vec2<f32>) -> f32 {
    let position = uv * params.size.xy;
    let centre = floor(position - 0.5) + 0.5;
    let f = position - centre;
    let w0 = f * (-0.5 + f * (1.0 - 0.5 * f));
    let w1 = 1.0 + f * f * (-2.5 + 1.5 * f);
    let w2 = f * (0.5 + f * (2.0 - 1.5 * f));
    let w3 = f * f * (-0.5 + 0.5 * f);
    let w12 = w1 + w2;
    let at0 = (centre - 1.0) * params.size.zw;
    let at3 = (centre + 2.0) * params.size.zw;
    let at12 = (centre + w2 / w12) * params.size.zw;
    var sum = 0.0;
    sum += textureSampleLevel(plane_y, linear_sampler, vec2(at0.x, at0.y), 0.0).r * w0.x * w0.y;
    sum += textureSampleLevel(plane_y, linear_sampler, vec2(at12.x, at0.y), 0.0).r * w12.x * w0.y;
    sum += textureSampleLevel(plane_y, linear_sampler, vec2(at3.x, at0.y), 0.0).r * w3.x * w0.y;
    sum += textureSampleLevel(plane_y, linear_sampler, vec2(at0.x, at12.y), 0.0).r * w0.x * w12.y;
    sum += textureSampleLevel(plane_y, linear_sampler, vec2(at12.x, at12.y), 0.0).r * w12.x * w12.y;
    sum += textureSampleLevel(plane_y, linear_sampler, vec2(at3.x, at12.y), 0.0).r * w3.x * w12.y;
    sum += textureSampleLevel(plane_y, linear_sampler, vec2(at0.x, at3.y), 0.0).r * w0.x * w3.y;
    sum += textureSampleLevel(plane_y, linear_sampler, vec2(at12.x, at3.y), 0.0).r * w12.x * w3.y;
    sum += textureSampleLevel(plane_y, linear_sampler, vec2(at3.x, at3.y), 0.0).r * w3.x * w3.y;
    return sum;
}

fn colour(uv: vec2<f32>) -> vec3<f32> {
    var y: f32;
    if (params.look.z > 0.5) {
        y = luma_bicubic(uv);
    } else {
        y = textureSampleLevel(plane_y, linear_sampler, uv, 0.0).r;
    }
    let u = textureSampleLevel(plane_u, linear_sampler, uv, 0.0).r - 128.0 / 255.0;
    let v = textureSampleLevel(plane_v, linear_sampler, uv, 0.0).r - 128.0 / 255.0;
    // ITU-R BT.601-7: luma 16..235, chroma 16..240.
    let l = (y - 16.0 / 255.0) * (255.0 / 219.0);
    let cb = u * (255.0 / 224.0) * params.look.x;
    let cr = v * (255.0 / 224.0) * params.look.x;
    let rgb = vec3<f32>(l + 1.402 * cr, l - 0.344136 * cb - 0.714136 * cr, l + 1.772 * cb);
    let shown = clamp(rgb, vec3(0.0), vec3(1.0)) * params.look.y;
    // The other shapes of the window are blended in gamma space; a target that encodes sRGB itself wants linear values.
    let linear = select(shown / 12.92, pow((shown + 0.055) / 1.055, vec3(2.4)), shown > vec3(0.04045));
    return select(shown, linear, params.look.w > 0.5);
}

@fragment
fn fs_square(in: Corner) -> @location(0) vec4<f32> {
    return vec4<f32>(colour(in.uv), 1.0);
}

// Distance to the outline with round corners, half a pixel of which is smoothed on either side.
@fragment
fn fs_rounded(in: Corner) -> @location(0) vec4<f32> {
    let half = params.shape.xy * 0.5;
    let radius = min(params.shape.z, min(half.x, half.y));
    let corner = abs(in.at - half) - half + radius;
    let distance = length(max(corner, vec2(0.0))) + min(max(corner.x, corner.y), 0.0) - radius;
    let cover = clamp(0.5 - distance, 0.0, 1.0);
    return vec4<f32>(colour(in.uv) * cover, cover);
}
