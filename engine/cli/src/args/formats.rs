//! The formats commands write, and the looks of logs and colours.

use clap::ValueEnum;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When writing to a terminal and NO_COLOR is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextJson {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Formats of `validate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ValidateFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For code scanning (SARIF 2.1.0).
    Sarif,
    /// For CI test reports.
    Junit,
    /// Annotations of a GitHub workflow.
    Github,
}

/// Formats of `test`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For CI test reports.
    Junit,
}

/// Formats of `assess`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AssessFormat {
    /// A table for people.
    #[default]
    Table,
    /// One document: findings and assets.
    Json,
    /// One finding a line.
    Ndjson,
    /// Comma-separated values.
    Csv,
}

/// Formats of `plan`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a comment.
    Markdown,
}

/// Formats of `graph`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Graphviz.
    #[default]
    Dot,
    /// Mermaid.
    Mermaid,
    /// A picture that stands on its own.
    Svg,
    /// Nodes and edges.
    Json,
}

/// Formats of `windows`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WindowsFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// iCalendar.
    Ics,
}

/// Formats of `reconcile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReconcileFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a CI summary.
    Markdown,
}
