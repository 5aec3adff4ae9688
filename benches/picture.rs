//! Pictures of how cost grows, one for each curve, in `benches/results/`. Nothing here measures.

use plotters::prelude::*;

use crate::table::folder;

/// A point: how many records, and what one costs, in microseconds.
pub type Point = (f64, f64);

/// The lines of a picture.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Lines {
    /// Measured as a node is.
    pub node: Vec<Point>,
    /// With a cache that holds all of the store, where that was measured too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all_cached: Vec<Point>,
    /// How often each point of the first line made the system read from a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<u64>,
}

/// What something costs at so many records that costs n log n in all, seen from a point.
pub fn logarithmic((records, cost): Point, at: f64) -> f64 {
    cost * at.ln() / records.ln()
}

/// Draws lines, both axes logarithmic, and what n log n would be from the first point on.
pub fn draw(
    name: &str,
    what: &str,
    across: &str,
    lines: &Lines,
) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder())?;
    let path = folder().join(format!("growth-{name}.svg"));
    let first = *lines.node.first().ok_or("no point")?;
    let last = lines.node.last().ok_or("no point")?.0 * 1.5;
    let costs = lines.node.iter().chain(&lines.all_cached);
    let (low, high) = costs.fold((f64::MAX, 0.0_f64), |(low, high), point| {
        (low.min(point.1), high.max(point.1))
    });
    let area = SVGBackend::new(&path, (800, 500)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(what, ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(45)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (first.0 / 1.5..last).log_scale(),
            (low / 3.0..high * 3.0).log_scale(),
        )?;
    let told = if lines.all_cached.is_empty() {
        "microseconds; grey: n log n in all"
    } else {
        "microseconds; grey: n log n in all; red: a cache that holds all"
    };
    chart.configure_mesh().x_desc(across).y_desc(told).draw()?;
    let bound = lines
        .node
        .iter()
        .map(|point| (point.0, logarithmic(first, point.0)));
    chart.draw_series(LineSeries::new(bound, RGBColor(160, 160, 160)))?;
    for (points, colour) in [(&lines.all_cached, RED), (&lines.node, BLUE)] {
        chart.draw_series(LineSeries::new(points.iter().copied(), colour))?;
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, 4, colour.filled()));
        chart.draw_series(dots)?;
    }
    area.present()?;
    Ok(())
}
