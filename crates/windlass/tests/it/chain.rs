//! Prints an error the way an operator sees it: one line a layer.

use std::error::Error;

/// What each layer says, outermost first.
pub(crate) fn layers(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut said = Vec::new();
    let mut next = Some(error);
    while let Some(layer) = next {
        said.push(layer.to_string());
        next = layer.source();
    }
    said
}

/// The layers, one a line, each deeper one indented further.
pub(crate) fn printed(error: &(dyn Error + 'static)) -> String {
    let lines = layers(error).into_iter().enumerate();
    let indented = lines.map(|(depth, line)| format!("{}{line}", "  ".repeat(depth)));
    indented.collect::<Vec<_>>().join("\n")
}

/// Panics if a layer repeats what a deeper one says, or says nothing.
pub(crate) fn assert_each_layer_speaks_for_itself(error: &(dyn Error + 'static)) {
    let layers = layers(error);
    for (depth, layer) in layers.iter().enumerate() {
        assert!(!layer.is_empty(), "layer {depth} is silent: {layers:?}");
        for deeper in &layers[depth + 1..] {
            assert!(!layer.contains(deeper.as_str()), "said twice: {layers:?}");
        }
    }
}
