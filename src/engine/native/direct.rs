//! A convolution's arithmetic as it stands: each result pixel from its window.

use super::grid::Field;
use super::kernels::{Kernels, Outer, Pixels, Real, rows_of_sums};
use super::memory::zeros;
use super::pass::{Col2Im, Direction, Pass};
use super::team::Means;
use super::window::Window;

/// With its buffers.
#[derive(Debug)]
pub(super) struct Direct<T> {
    window: Window,
    direction: Direction,
    /// Each group of channels by itself.
    groups: Vec<Group<T>>,
    /// Whether the kernel is still to be packed for the way back, which not every call needs. A step that has handed out
    /// its gradient must load a kernel before it goes back again: the gradient has taken the kernel's place.
    stale: bool,
}

#[derive(Debug)]
struct Group<T> {
    forward: Either<T>,
    backward: Either<T>,
    /// Sums of the kernel's gradient: taps and fine channels by coarse channels, filled up to whole
    /// vectors.
    kernel_gradient: Vec<T>,
}

/// Either way of computing a direction.
#[derive(Debug)]
enum Either<T> {
    Pass(Pass<T>),
    Col2Im(Col2Im<T>),
}

impl<T: Real> Either<T> {
    fn new(window: Window, group: usize, direction: Direction, lanes: usize) -> Self {
        // One tap needs no adding up.
        let sparse = direction == Direction::Scatter && window.fine * 4 <= lanes;
        if sparse && window.taps() > 1 && window.taps() * window.fine <= 8 * lanes {
            Self::Col2Im(Col2Im::new(window, group, lanes))
        } else {
            Self::Pass(Pass::new(window, group, direction, lanes))
        }
    }

    fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        match self {
            Self::Pass(pass) => pass.pack(kernel, bias),
            Self::Col2Im(spread) => spread.pack(kernel, bias),
        }
    }

    fn run(
        &mut self,
        means: Means<'_, T>,
        source: (&Field<T>, usize),
        result: (&mut Field<T>, usize),
        images: usize,
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        match self {
            Self::Pass(pass) => pass.run(means, source, result, images, finish),
            Self::Col2Im(spread) => spread.run(means, source, result, images, finish),
        }
    }
}

impl<T: Real> Direct<T> {
    /// A pooled one must make its rows one by one.
    pub fn new(window: Window, direction: Direction, pooled: bool, lanes: usize) -> Self {
        let stride = Outer::<T>::stride(window.coarse, lanes);
        let group = |group| Group {
            forward: if pooled {
                Either::Pass(Pass::new(window, group, direction, lanes))
            } else {
                Either::new(window, group, direction, lanes)
            },
            backward: Either::new(window, group, direction.reverse(), lanes),
            kernel_gradient: zeros(window.taps() * window.fine * stride),
        };
        let groups = (0..window.groups).map(group).collect();
        Self { window, direction, groups, stale: true }
    }

    /// Whether all images are best taken at once: those that give one pixel each.
    pub fn is_single(&self) -> bool {
        self.window.rows.coarse * self.window.columns.coarse == 1
    }

    /// Of an image.
    pub fn multiplications(&self) -> usize {
        self.window.groups * self.window.multiplications()
    }

    /// Takes over the groups' kernels as the window sees them, and the bias.
    pub fn load(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let kernels = kernel.chunks_exact(self.window.kernel());
        let results = bias.map_or(0, <[T]>::len) / self.window.groups;
        for (i, (group, kernel)) in self.groups.iter_mut().zip(kernels).enumerate() {
            let bias = bias.map(|bias| &bias[i * results..][..results]);
            group.forward.pack(kernel, bias);
        }
        self.stale = true;
    }

    /// Row `y` of an image that will be pooled.
    pub fn row(
        &self,
        kernels: &Kernels<T>,
        source: (&Field<T>, usize),
        y: usize,
        result: &mut [T],
    ) {
        for group in &self.groups {
            let Either::Pass(pass) = &group.forward else {
                unreachable!("a pooled convolution makes a pass")
            };
            pass.row(kernels, source.0, source.1, y, result);
        }
    }

    /// `finish` is called on each row while it is in the cache.
    pub fn forward(
        &mut self,
        means: Means<'_, T>,
        source: (&Field<T>, usize),
        (result, to): (&mut Field<T>, usize),
        images: usize,
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        let (last, others) = self.groups.split_last_mut().expect("there is a group");
        for group in others {
            group.forward.run(means, source, (&mut *result, to), images, |_| {});
        }
        last.forward.run(means, source, (result, to), images, finish);
    }

    /// Adds up the kernel's gradient, and computes the input's where it is wanted; of one image,
    /// or of all if they are single pixels. `kernel` is the one that was loaded.
    pub fn backward(
        &mut self,
        means: Means<'_, T>,
        kernel: &[T],
        input: (&Field<T>, usize),
        gradient: (&Field<T>, usize),
        result: Option<(&mut Field<T>, usize)>,
        images: usize,
    ) {
        let (fine, coarse) = match self.direction {
            Direction::Gather => (input, gradient),
            Direction::Scatter => (gradient, input),
        };
        for index in 0..self.groups.len() {
            self.add_kernel_gradient(index, means, fine, coarse, images);
        }
        if let Some((result, to)) = result {
            if std::mem::take(&mut self.stale) {
                let kernels = kernel.chunks_exact(self.window.kernel());
                for (group, kernel) in self.groups.iter_mut().zip(kernels) {
                    group.backward.pack(kernel, None);
                }
            }
            for group in &mut self.groups {
                group.backward.run(means, gradient, (&mut *result, to), images, |_| {});
            }
        }
    }

    /// Hands out the gradient of the groups' kernels, as the window sees them, and starts it anew.
    pub fn collect(&mut self, kernel: &mut [T], lanes: usize) {
        let stride = Outer::<T>::stride(self.window.coarse, lanes);
        let kernels = kernel.chunks_exact_mut(self.window.kernel());
        for (group, kernel) in self.groups.iter_mut().zip(kernels) {
            let rows = group.kernel_gradient.chunks_exact(stride);
            for (sums, row) in rows.zip(kernel.chunks_exact_mut(self.window.coarse)) {
                row.copy_from_slice(&sums[..self.window.coarse]);
            }
            group.kernel_gradient.fill(T::zero());
        }
    }

    /// Adds one image's share to the gradient of a group's kernel; a coarse grid of one pixel takes all
    /// images at once. The rows of sums are divided among the team.
    fn add_kernel_gradient(
        &mut self,
        index: usize,
        (kernels, team): Means<'_, T>,
        (fine, fine_image): (&Field<T>, usize),
        (coarse, coarse_image): (&Field<T>, usize),
        images: usize,
    ) {
        let Window { rows, columns, groups, .. } = self.window;
        let single = self.is_single();
        // Taps side by side, with all channels of their pixels, are taken together.
        let together = if columns.dilation == 1 && groups == 1 { columns.taps } else { 1 };
        let length = together * self.window.fine;
        let stride = Outer::<T>::stride(self.window.coarse, kernels.lanes);
        let multiplications = self.window.multiplications() * if single { images } else { 1 };
        let members = team.members(multiplications);
        let places = self.window.taps() / together;
        let rows_of_sums = rows_of_sums(length, members.div_ceil(places));
        let sums = self.groups[index].kernel_gradient.chunks_exact_mut(length * stride);
        let parts = sums.enumerate().flat_map(|(place, sums)| {
            let pieces = sums.chunks_mut(rows_of_sums * stride).enumerate();
            pieces.map(move |(piece, sums)| (place, piece * rows_of_sums, sums))
        });
        let parts: Vec<_> = parts.collect();
        team.share_out(multiplications, parts.into_iter(), |(place, first, sums)| {
            let tap = place * together;
            let (ky, kx) = (tap / columns.taps, tap % columns.taps);
            let start = fine.grid.at(rows.place(ky), columns.place(kx)) + index * self.window.fine;
            let left = Pixels {
                values: &fine.tail(fine_image)[start + first..],
                row_step: rows.stride * fine.grid.row_step(),
                step: if single {
                    fine.grid.image_step()
                } else {
                    columns.stride * fine.grid.size.channels
                },
                length: sums.len() / stride,
            };
            let start = coarse.grid.at(0, 0) + index * self.window.coarse;
            let right = Pixels {
                values: &coarse.tail(coarse_image)[start..],
                row_step: coarse.grid.row_step(),
                step: if single { coarse.grid.image_step() } else { coarse.grid.size.channels },
                length: self.window.coarse,
            };
            let pixels = if single { images } else { columns.coarse };
            kernels.outer(&Outer { left, right, rows: rows.coarse, pixels }, sums);
        });
    }
}
