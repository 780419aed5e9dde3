//! Draws the newest picture of a [`Slot`] with a shader: three planes go up as they are, the graphics card converts,
//! crops and scales. Textures are made once per picture size and reused.

use std::time::Instant;

use eframe::egui_wgpu::{self, CallbackResources, RenderState, ScreenDescriptor, wgpu};
use egui::{PaintCallbackInfo, Rect, Vec2, pos2, vec2};
use farwheel_media::VideoFrame;
use farwheel_proto::video::Size;

use super::slot::{Presented, Slot};
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

/// Draws the newest picture into `rect`; nothing before the first one. Without [`install`] nothing is drawn.
pub fn paint(ui: &egui::Ui, rect: Rect, slot: &Slot, fit: Fit, look: Look) {
    let Some(size) = slot.size() else { return };
    let (rect, crop) = place(rect, size, fit);
    let callback = Draw { slot: slot.clone(), crop, look };
    ui.painter().add(egui_wgpu::Callback::new_paint_callback(rect, callback));
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
}

struct Planes {
    size: Size,
    textures: [wgpu::Texture; 3],
    bind_group: wgpu::BindGroup,
}

struct Pipeline {
    pipeline: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    sampler: wgpu::Sampler,
    params: wgpu::Buffer,
    quality: Quality,
    output_linear: bool,
    planes: Option<Planes>,
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
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
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
                entry_point: Some("fs_main"),
                targets: &[Some(target.into())],
                compilation_options: wgpu::PipelineCompilationOptions::default(),
            }),
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            multiview_mask: None,
            cache: None,
        });
        let sampler = device.create_sampler(&wgpu::SamplerDescriptor {
            label,
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            ..Default::default()
        });
        let params = device.create_buffer(&wgpu::BufferDescriptor {
            label,
            size: std::mem::size_of::<Params>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { pipeline, layout, sampler, params, quality, output_linear: target.is_srgb(), planes: None }
    }

    fn upload(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, frame: &VideoFrame) {
        if self.planes.as_ref().is_none_or(|planes| planes.size != frame.size) {
            self.planes = Some(self.make_planes(device, frame.size));
        }
        let Some(planes) = &self.planes else { return };
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

    fn make_planes(&self, device: &wgpu::Device, size: Size) -> Planes {
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
        let views = textures.each_ref().map(|texture| texture.create_view(&Default::default()));
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("video"),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: self.params.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::Sampler(&self.sampler) },
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::TextureView(&views[0]) },
                wgpu::BindGroupEntry { binding: 3, resource: wgpu::BindingResource::TextureView(&views[1]) },
                wgpu::BindGroupEntry { binding: 4, resource: wgpu::BindingResource::TextureView(&views[2]) },
            ],
        });
        Planes { size, textures, bind_group }
    }
}

struct Draw {
    slot: Slot,
    crop: Rect,
    look: Look,
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
        // The slot is looked at here and not while the panels were laid out: a picture that came meanwhile is shown.
        if let Some(picture) = self.slot.take() {
            let started = Instant::now();
            pipeline.upload(device, queue, &picture.frame);
            let drawn_at = Instant::now();
            self.slot.note_presented(Presented {
                id: picture.id,
                decoded_at: picture.decoded_at,
                drawn_at,
                upload: drawn_at - started,
            });
        }
        if let Some(planes) = &pipeline.planes {
            let (width, height) = (planes.size.width as f32, planes.size.height as f32);
            let flag = |on: bool| f32::from(u8::from(on));
            let params = Params {
                crop: [self.crop.min.x, self.crop.min.y, self.crop.width(), self.crop.height()],
                size: [width, height, 1.0 / width, 1.0 / height],
                look: [
                    self.look.saturation,
                    self.look.brightness,
                    flag(pipeline.quality == Quality::Bicubic),
                    flag(pipeline.output_linear),
                ],
            };
            queue.write_buffer(&pipeline.params, 0, bytemuck::bytes_of(&params));
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
        let Some(planes) = &pipeline.planes else { return };
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &planes.bind_group, &[]);
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
