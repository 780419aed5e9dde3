//! Draws the newest pictures of [`Slot`]s with a shader: three planes go up as they are, the graphics card converts,
//! crops and scales. Textures are made once per slot and picture size and reused; those of a slot that is no longer
//! drawn are dropped.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use eframe::egui_wgpu::{self, CallbackResources, RenderState, ScreenDescriptor, wgpu};
use egui::{Id, PaintCallbackInfo, Rect, Vec2, pos2, vec2};
use farwheel_media::VideoFrame;
use farwheel_proto::video::Size;

use super::slot::{Presented, Slot, SlotId};
use crate::model::settings::Fit;

/// How the picture looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// 1 as it is, 0 grey.
    pub saturation: f32,
    /// 1 as it is, 0 black.
    pub brightness: f32,
}

impl Look {
    /// As the camera saw it.
    pub const LIVE: Self = Self { saturation: 1.0, brightness: 1.0 };
    /// Cannot be mistaken for live: grey and dark.
    pub const STALE: Self = Self { saturation: 0.0, brightness: 0.42 };
}

/// Whether left and right are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mirror {
    /// As the camera saw it.
    #[default]
    No,
    /// As in a mirror.
    Yes,
}

/// How a picture lies in its tile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tile {
    /// Tells apart the places at which one slot is drawn at a time.
    pub id: Id,
    /// Where.
    pub rect: Rect,
    /// Cut or whole.
    pub fit: Fit,
    /// Radius of the corners, in points.
    pub radius: f32,
    /// Left and right.
    pub mirror: Mirror,
    /// Live or not.
    pub look: Look,
}

/// Makes the pipeline and keeps it with the window's renderer; once, before the first [`paint`].
pub fn install(state: &RenderState) {
    let quality = match state.adapter.get_info().device_type {
        // Nine fetches per pixel are nothing for a graphics card and half a frame for a processor.
        wgpu::DeviceType::Cpu => Quality::Bilinear,
        _ => Quality::Bicubic,
    };
    let pipeline = Pipeline::new(&state.device, state.target_format, quality);
    state.renderer.write().callback_resources.insert(pipeline);
}

/// Drops the pictures that are no longer drawn; in every round of the window, as nothing else does where no picture is
/// painted at all. Returns of how many sources one is still on the graphics card.
pub fn tidy(state: &RenderState, now: Instant) -> usize {
    let mut renderer = state.renderer.write();
    let Some(pipeline) = renderer.callback_resources.get_mut::<Pipeline>() else { return 0 };
    pipeline.forget(now);
    pipeline.pictures.len()
}

/// Draws the newest picture over all of `rect`; nothing before the first one. Without [`install`] nothing is drawn.
pub fn paint(ui: &egui::Ui, rect: Rect, slot: &Slot, fit: Fit, look: Look) {
    let id = Id::unique("the picture of the drive screen");
    paint_tile(ui, slot, Tile { id, rect, fit, radius: 0.0, mirror: Mirror::No, look });
}

/// Draws the newest picture of a slot into a tile; nothing before the first one. Without [`install`] nothing is drawn.
/// Returns where the picture lies.
pub fn paint_tile(ui: &egui::Ui, slot: &Slot, tile: Tile) -> Option<Rect> {
    let (rect, crop) = place(tile.rect, slot.size()?, tile.fit);
    // The graphics card's viewport ends at the window's edge; a tile that is scrolled half out of sight would be
    // squeezed into what is left.
    let seen = rect.intersect(ui.ctx().content_rect());
    if seen.width() < 1.0 || seen.height() < 1.0 {
        return Some(rect);
    }
    let part =
        Rect::from_min_size(((seen.min - rect.min) / rect.size()).to_pos2(), seen.size() / rect.size());
    let mut crop =
        Rect::from_min_size(crop.min + part.min.to_vec2() * crop.size(), part.size() * crop.size());
    if tile.mirror == Mirror::Yes {
        // Cuts are alike on both sides, but what is out of sight is not.
        let middle = 0.5;
        (crop.min.x, crop.max.x) = (middle + (middle - crop.min.x), middle + (middle - crop.max.x));
    }
    let scale = ui.ctx().pixels_per_point();
    let shape = Shape {
        whole: rect.size() * scale,
        seen: Rect::from_min_size(((seen.min - rect.min) * scale).to_pos2(), seen.size() * scale),
        radius: tile.radius * scale,
    };
    let callback = Draw { slot: slot.clone(), id: tile.id, crop, look: tile.look, shape };
    ui.painter().add(egui_wgpu::Callback::new_paint_callback(seen, callback));
    Some(rect)
}

/// Where the picture goes in `rect`, and which part of it (in texture coordinates).
pub fn place(rect: Rect, size: Size, fit: Fit) -> (Rect, Rect) {
    let picture = vec2(size.width as f32, size.height as f32);
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    if rect.width() <= 0.0 || rect.height() <= 0.0 {
        return (rect, whole);
    }
    let scale = rect.size() / picture;
    match fit {
        Fit::Letterbox => {
            let factor = scale.min_elem();
            (Rect::from_center_size(rect.center(), picture * factor), whole)
        }
        Fit::Fill => {
            let shown: Vec2 = rect.size() / (picture * scale.max_elem());
            (rect, Rect::from_center_size(pos2(0.5, 0.5), shown))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quality {
    Bilinear,
    Bicubic,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    crop: [f32; 4],
    size: [f32; 4],
    look: [f32; 4],
    seen: [f32; 4],
    shape: [f32; 4],
}

/// Outline of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    /// Size of the picture on screen.
    whole: Vec2,
    /// The part of that which is inside the window.
    seen: Rect,
    /// Radius of its corners.
    radius: f32,
}

/// The picture of one slot on the graphics card.
struct Planes {
    size: Size,
    textures: [wgpu::Texture; 3],
    /// Each place at which it is drawn has parameters of its own.
    places: HashMap<Id, Place>,
    drawn_at: Instant,
}

struct Place {
    params: wgpu::Buffer,
    bind_group: wgpu::BindGroup,
    drawn_at: Instant,
}

struct Pipeline {
    square: wgpu::RenderPipeline,
    rounded: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    sampler: wgpu::Sampler,
    quality: Quality,
    output_linear: bool,
    pictures: HashMap<SlotId, Planes>,
}

impl Pipeline {
    fn new(device: &wgpu::Device, target: wgpu::TextureFormat, quality: Quality) -> Self {
        let label = Some("video");
        let shader = device.create_shader_module(wgpu::include_wgsl!("video.wgsl"));
        let plane = |binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture {
                sample_type: wgpu::TextureSampleType::Float { filterable: true },
                view_dimension: wgpu::TextureViewDimension::D2,
                multisampled: false,
            },
            count: None,
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label,
            entries: &[
                wgpu::BindGroupLayoutEntry {
                    binding: 0,
                    visibility: wgpu::ShaderStages::VERTEX_FRAGMENT,
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                    count: None,
                },
                wgpu::BindGroupLayoutEntry {
                    binding: 1,
                    visibility: wgpu::ShaderStages::FRAGMENT,
                    ty: wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
                    count: None,
                },
                plane(2),
                plane(3),
                plane(4),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        });
        let make = |fragment, blend| {
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label,
                layout: Some(&pipeline_layout),
                vertex: wgpu::VertexState {
                    module: &shader,
                    entry_point: Some("vs_main"),
                    buffers: &[],
                    compilation_options: wgpu::PipelineCompilationOptions::default(),
                },
                fragment: Some(wgpu::FragmentState {
                    module: &shader,
                    entry_point: Some(fragment),
                    targets: &[Some(wgpu::ColorTargetState {
                        format: target,
                        blend,
                        write_mask: wgpu::ColorWrites::ALL,
                    })],
                    compilation_options: wgpu::PipelineCompilationOptions::default(),
                }),
                primitive: wgpu::PrimitiveState::default(),
                depth_stencil: None,
                multisample: wgpu::MultisampleState::default(),
                multiview_mask: None,
                cache: None,
            })
        };
        let square = make("fs_square", None);
        let rounded = make("fs_rounded", Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING));
        let sampler = device.create_sampler(&wgpu::SamplerDescriptor {
            label,
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            ..Default::default()
        });
        let output_linear = target.is_srgb();
        Self { square, rounded, layout, sampler, quality, output_linear, pictures: HashMap::new() }
    }

    fn upload(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, id: SlotId, frame: &VideoFrame) {
        if self.pictures.get(&id).is_none_or(|planes| planes.size != frame.size) {
            self.pictures.insert(id, make_planes(device, frame.size));
        }
        let Some(planes) = self.pictures.get(&id) else { return };
        let sources =
            [(frame.y(), frame.stride_y), (frame.u(), frame.stride_uv), (frame.v(), frame.stride_uv)];
        for (texture, (bytes, stride)) in planes.textures.iter().zip(sources) {
            let layout = wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(stride as u32),
                rows_per_image: None,
            };
            queue.write_texture(texture.as_image_copy(), bytes, layout, texture.size());
        }
    }

    /// Sets the parameters of a draw.
    fn place(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, draw: &Draw, now: Instant) {
        let Some(planes) = self.pictures.get_mut(&draw.slot.id()) else { return };
        planes.drawn_at = now;
        let place = planes
            .places
            .entry(draw.id)
            .or_insert_with(|| make_place(device, &self.layout, &self.sampler, &planes.textures, now));
        place.drawn_at = now;
        let (width, height) = (planes.size.width as f32, planes.size.height as f32);
        let flag = |on: bool| f32::from(u8::from(on));
        let Draw { crop, look, shape, .. } = draw;
        let params = Params {
            crop: [crop.min.x, crop.min.y, crop.width(), crop.height()],
            size: [width, height, 1.0 / width, 1.0 / height],
            look: [
                look.saturation,
                look.brightness,
                flag(self.quality == Quality::Bicubic),
                flag(self.output_linear),
            ],
            seen: [shape.seen.min.x, shape.seen.min.y, shape.seen.width(), shape.seen.height()],
            shape: [shape.whole.x, shape.whole.y, shape.radius, 0.0],
        };
        queue.write_buffer(&place.params, 0, bytemuck::bytes_of(&params));
    }

    /// Drops what has not been drawn for a while: tiles come and go.
    fn forget(&mut self, now: Instant) {
        let is_used = |drawn_at: Instant| now.saturating_duration_since(drawn_at) < KEPT;
        self.pictures.retain(|_, planes| {
            planes.places.retain(|_, place| is_used(place.drawn_at));
            is_used(planes.drawn_at)
        });
    }
}

/// Long enough that a tile which is gone for an animation keeps its textures.
const KEPT: Duration = Duration::from_secs(2);

fn make_planes(device: &wgpu::Device, size: Size) -> Planes {
    let make = |width, height| {
        device.create_texture(&wgpu::TextureDescriptor {
            label: Some("video plane"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::R8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        })
    };
    let (half_width, half_height) = (size.width / 2, size.height / 2);
    let textures =
        [make(size.width, size.height), make(half_width, half_height), make(half_width, half_height)];
    Planes { size, textures, places: HashMap::new(), drawn_at: Instant::now() }
}

fn make_place(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    sampler: &wgpu::Sampler,
    textures: &[wgpu::Texture; 3],
    now: Instant,
) -> Place {
    let label = Some("video");
    let params = device.create_buffer(&wgpu::BufferDescriptor {
        label,
        size: std::mem::size_of::<Params>() as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let views = textures.each_ref().map(|texture| texture.create_view(&Default::default()));
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label,
        layout,
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: params.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::Sampler(sampler) },
            wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::TextureView(&views[0]) },
            wgpu::BindGroupEntry { binding: 3, resource: wgpu::BindingResource::TextureView(&views[1]) },
            wgpu::BindGroupEntry { binding: 4, resource: wgpu::BindingResource::TextureView(&views[2]) },
        ],
    });
    Place { params, bind_group, drawn_at: now }
}

struct Draw {
    slot: Slot,
    id: Id,
    crop: Rect,
    look: Look,
    shape: Shape,
}

impl egui_wgpu::CallbackTrait for Draw {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        _screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let Some(pipeline) = resources.get_mut::<Pipeline>() else { return Vec::new() };
        let started = Instant::now();
        // The slot is looked at here and not while the panels were laid out: a picture that came meanwhile is shown.
        if let Some(picture) = self.slot.take() {
            pipeline.upload(device, queue, self.slot.id(), &picture.frame);
            let drawn_at = Instant::now();
            self.slot.note_presented(Presented {
                id: picture.id,
                decoded_at: picture.decoded_at,
                drawn_at,
                upload: drawn_at - started,
            });
        } else if !pipeline.pictures.contains_key(&self.slot.id())
            && let Some(picture) = self.slot.shown()
        {
            // A tile that comes back before its next picture.
            pipeline.upload(device, queue, self.slot.id(), &picture.frame);
        }
        pipeline.place(device, queue, self, started);
        Vec::new()
    }

    fn finish_prepare(
        &self,
        _device: &wgpu::Device,
        _queue: &wgpu::Queue,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(pipeline) = resources.get_mut::<Pipeline>() {
            pipeline.forget(Instant::now());
        }
        Vec::new()
    }

    fn paint(
        &self,
        _info: PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        resources: &CallbackResources,
    ) {
        let Some(pipeline) = resources.get::<Pipeline>() else { return };
        let Some(planes) = pipeline.pictures.get(&self.slot.id()) else { return };
        let Some(place) = planes.places.get(&self.id) else { return };
        pass.set_pipeline(if self.shape.radius > 0.0 { &pipeline.rounded } else { &pipeline.square });
        pass.set_bind_group(0, &place.bind_group, &[]);
        pass.draw(0..3, 0..1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_cuts_two_sides_and_letterbox_leaves_two_bars() {
        let window = Rect::from_min_size(pos2(0.0, 0.0), vec2(1000.0, 1000.0));
        let (rect, crop) = place(window, Size::new(200, 100), Fit::Fill);
        assert_eq!(rect, window);
        assert_eq!(crop, Rect::from_min_max(pos2(0.25, 0.0), pos2(0.75, 1.0)));
        let (rect, crop) = place(window, Size::new(200, 100), Fit::Letterbox);
        assert_eq!(rect, Rect::from_min_max(pos2(0.0, 250.0), pos2(1000.0, 750.0)));
        assert_eq!(crop.size(), vec2(1.0, 1.0));
    }

    #[test]
    fn a_window_of_no_size_does_not_divide_by_zero() {
        let nothing = Rect::from_min_size(pos2(5.0, 5.0), vec2(0.0, 10.0));
        let (rect, crop) = place(nothing, Size::new(640, 360), Fit::Fill);
        assert_eq!(rect, nothing);
        assert!(crop.is_finite());
    }
}
