//! Messages in their order: what a client asks and what it is told.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::notification::{self, Notification as _};
use lsp_types::request::{self, Request as _};
use lsp_types::{
    CodeActionOrCommand, CodeActionProviderCapability, CompletionOptions, CompletionResponse, Diagnostic,
    DidChangeWatchedFilesRegistrationOptions, DocumentSymbolResponse, FileSystemWatcher, GlobPattern,
    GotoDefinitionResponse, Hover, HoverContents, HoverProviderCapability, InitializeParams, MarkupContent, MarkupKind,
    OneOf, PublishDiagnosticsParams, Registration, RegistrationParams, ServerCapabilities, TextDocumentPositionParams,
    TextDocumentSyncCapability, TextDocumentSyncKind, TextDocumentSyncOptions, TextEdit, Uri,
};
use patchwave_core::load::PROJECT_FILE;
use serde_json::{Value, json};

use super::position::{Encoding, Lines};
use super::workspace::Workspace;
use super::{complete, hover, navigate, problems, uri};
use crate::exit::{Exit, Failure};
use crate::layout;

/// Speaks with one client, from its first word to its last.
pub fn serve(connection: &Connection, root: &Path, clock: &dyn Fn() -> Timestamp) -> Result<Exit, Failure> {
    let (id, params) = connection.initialize_start()?;
    let params: InitializeParams = serde_json::from_value(params)?;
    let general = params.capabilities.general.as_ref();
    let encoding = Encoding::agreed(general.and_then(|g| g.position_encodings.as_deref()));
    let root = workspace_root(&params, root);
    let answer = json!({
        "capabilities": capabilities(encoding),
        "serverInfo": {"name": "patchwave", "version": env!("CARGO_PKG_VERSION")},
    });
    connection.initialize_finish(id, answer)?;
    let workspace = Workspace::at(root, encoding, clock());
    let mut server = Server::new(connection, workspace, clock);
    let watches = params.capabilities.workspace.and_then(|w| w.did_change_watched_files);
    if watches.and_then(|w| w.dynamic_registration) == Some(true) {
        server.watch()?;
    }
    server.publish()?;
    server.run()
}

/// The folder of the client that holds a Project, else the one the command works in.
fn workspace_root(params: &InitializeParams, root: &Path) -> PathBuf {
    let folders = params.workspace_folders.iter().flatten().map(|folder| &folder.uri);
    #[expect(deprecated, reason = "clients older than workspace folders send only this")]
    let given = folders.chain(params.root_uri.as_ref()).filter_map(uri::to_path);
    let with_project = given.into_iter().find(|folder| folder.join(PROJECT_FILE).is_file());
    let chosen = with_project.unwrap_or_else(|| root.to_owned());
    chosen.canonicalize().unwrap_or(chosen)
}

fn capabilities(encoding: Encoding) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(encoding.kind()),
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::INCREMENTAL),
            save: Some(lsp_types::TextDocumentSyncSaveOptions::Supported(true)),
            ..TextDocumentSyncOptions::default()
        })),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some([" ", ":", "{", "[", ","].map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        references_provider: Some(OneOf::Left(true)),
        document_symbol_provider: Some(OneOf::Left(true)),
        document_formatting_provider: Some(OneOf::Left(true)),
        code_action_provider: Some(CodeActionProviderCapability::Simple(true)),
        ..ServerCapabilities::default()
    }
}

struct Server<'a> {
    connection: &'a Connection,
    workspace: Workspace,
    clock: &'a dyn Fn() -> Timestamp,
    queue: VecDeque<Message>,
    /// What the client was last told, by path; files without problems are left out.
    told: BTreeMap<String, Vec<Diagnostic>>,
    /// Files the client has open and was told nothing of yet.
    untold: Vec<String>,
    /// The client has asked to end.
    ending: bool,
}

type Step = Result<(), Failure>;

impl<'a> Server<'a> {
    fn new(connection: &'a Connection, workspace: Workspace, clock: &'a dyn Fn() -> Timestamp) -> Self {
        Self {
            connection,
            workspace,
            clock,
            queue: VecDeque::new(),
            told: BTreeMap::new(),
            untold: Vec::new(),
            ending: false,
        }
    }

    fn run(&mut self) -> Result<Exit, Failure> {
        loop {
            if self.queue.is_empty() {
                self.publish()?;
                match self.connection.receiver.recv() {
                    Ok(message) => self.queue.push_back(message),
                    // The client is gone without a word.
                    Err(_) => return Ok(Exit::Error),
                }
            }
            self.take_in()?;
            match self.queue.pop_front() {
                Some(Message::Request(request)) => self.request(request)?,
                Some(Message::Notification(note)) if note.method == notification::Exit::METHOD => {
                    return Ok(if self.ending { Exit::Done } else { Exit::Error });
                }
                Some(Message::Notification(note)) => self.notification(note)?,
                Some(Message::Response(_)) | None => {}
            }
        }
    }

    /// Everything that has arrived. What is taken back is taken out of the queue before it is worked on.
    fn take_in(&mut self) -> Step {
        let arrived: Vec<Message> = self.connection.receiver.try_iter().collect();
        for message in arrived {
            match message {
                Message::Notification(note) if note.method == notification::Cancel::METHOD => self.cancel(&note)?,
                other => self.queue.push_back(other),
            }
        }
        Ok(())
    }

    fn send(&self, message: impl Into<Message>) -> Step {
        Ok(self.connection.sender.send(message.into())?)
    }

    fn watch(&self) -> Step {
        let watcher = FileSystemWatcher {
            glob_pattern: GlobPattern::String("**/*".into()),
            kind: None,
        };
        let options = DidChangeWatchedFilesRegistrationOptions {
            watchers: vec![watcher],
        };
        let registration = Registration {
            id: "files".into(),
            method: notification::DidChangeWatchedFiles::METHOD.into(),
            register_options: Some(serde_json::to_value(options)?),
        };
        let params = RegistrationParams {
            registrations: vec![registration],
        };
        let id = RequestId::from("files".to_owned());
        self.send(Request::new(id, request::RegisterCapability::METHOD.into(), params))
    }

    /// Tells the client what has changed since it was told last.
    fn publish(&mut self) -> Step {
        self.workspace.refresh((self.clock)());
        let now = if self.workspace.has_project() {
            problems::by_file(&self.workspace)
        } else {
            BTreeMap::new()
        };
        let before = std::mem::take(&mut self.told);
        let gone = before.keys().filter(|path| !now.contains_key(*path));
        let changed = now
            .iter()
            .filter(|(path, list)| before.get(*path) != Some(list))
            .map(|(path, _)| path);
        let mut paths: Vec<&String> = gone.chain(changed).chain(&self.untold).collect();
        paths.sort();
        paths.dedup();
        for path in paths {
            let Some(address) = uri::of_path(&self.workspace.root.join(path)) else {
                continue;
            };
            let list = now.get(path).cloned().unwrap_or_default();
            let params = PublishDiagnosticsParams::new(address, list, None);
            self.send(Notification::new(
                notification::PublishDiagnostics::METHOD.into(),
                params,
            ))?;
        }
        self.untold.clear();
        self.told = now;
        Ok(())
    }

    fn notification(&mut self, note: Notification) -> Step {
        match note.method.as_str() {
            notification::DidOpenTextDocument::METHOD => {
                if let Some((path, params)) =
                    self.of::<notification::DidOpenTextDocument>(note, |p| &p.text_document.uri)
                {
                    self.untold.push(path.clone());
                    self.workspace.edit(path, params.text_document.text);
                }
            }
            notification::DidChangeTextDocument::METHOD => {
                if let Some((path, params)) =
                    self.of::<notification::DidChangeTextDocument>(note, |p| &p.text_document.uri)
                {
                    self.change(path, params.content_changes);
                }
            }
            notification::DidCloseTextDocument::METHOD => {
                if let Some((path, _)) = self.of::<notification::DidCloseTextDocument>(note, |p| &p.text_document.uri) {
                    self.workspace.close(&path);
                }
            }
            notification::DidSaveTextDocument::METHOD => {
                if let Some((path, _)) = self.of::<notification::DidSaveTextDocument>(note, |p| &p.text_document.uri)
                    && path == PROJECT_FILE
                {
                    self.workspace.changed_on_disk(&path, (self.clock)());
                }
            }
            notification::DidChangeWatchedFiles::METHOD => self.changed_on_disk(note),
            _ => {}
        }
        Ok(())
    }

    /// A notification about one file of the repository; any other is none of ours.
    fn of<N: notification::Notification>(
        &self,
        note: Notification,
        address: impl Fn(&N::Params) -> &Uri,
    ) -> Option<(String, N::Params)> {
        let params: N::Params = note.extract(N::METHOD).ok()?;
        let path = self.workspace.relative(&uri::to_path(address(&params))?)?;
        Some((path, params))
    }

    fn change(&mut self, path: String, changes: Vec<lsp_types::TextDocumentContentChangeEvent>) {
        let mut text = self.workspace.text(&path).unwrap_or_default().to_owned();
        for change in changes {
            match change.range {
                None => text = change.text,
                Some(range) => {
                    let lines = Lines::new(&text, self.workspace.encoding);
                    let (start, end) = (lines.byte(range.start), lines.byte(range.end));
                    text.replace_range(start..end.max(start), &change.text);
                }
            }
        }
        self.workspace.edit(path, text);
    }

    fn changed_on_disk(&mut self, note: Notification) {
        let Ok(params) =
            note.extract::<lsp_types::DidChangeWatchedFilesParams>(notification::DidChangeWatchedFiles::METHOD)
        else {
            return;
        };
        for change in params.changes {
            let path = uri::to_path(&change.uri).and_then(|path| self.workspace.relative(&path));
            // The engine's own files and Git's are no resources, and change by the hundred.
            let own = |path: &String| path.starts_with('.') || path.contains("/.");
            if let Some(path) = path.filter(|path| !own(path) && !self.workspace.is_open(path)) {
                self.workspace.changed_on_disk(&path, (self.clock)());
            }
        }
    }

    /// A question that still waits is taken back.
    fn cancel(&mut self, note: &Notification) -> Step {
        let id = match note.params.get("id") {
            Some(Value::String(id)) => RequestId::from(id.clone()),
            Some(id) => RequestId::from(id.as_i64().and_then(|id| i32::try_from(id).ok()).unwrap_or(-1)),
            None => return Ok(()),
        };
        let waits = |message: &Message| matches!(message, Message::Request(request) if request.id == id);
        if let Some(at) = self.queue.iter().position(waits) {
            self.queue.remove(at);
            self.send(Response::new_err(
                id,
                ErrorCode::RequestCanceled as i32,
                "cancelled".into(),
            ))?;
        }
        Ok(())
    }

    fn request(&mut self, request: Request) -> Step {
        let id = request.id.clone();
        if self.ending {
            let why = "the server was asked to end".to_owned();
            return self.send(Response::new_err(id, ErrorCode::InvalidRequest as i32, why));
        }
        // Completion reads the buffer alone; everything else points into what was read.
        if request.method != request::Completion::METHOD {
            self.workspace.refresh((self.clock)());
        }
        let answer = match request.method.as_str() {
            request::Shutdown::METHOD => {
                self.ending = true;
                Ok(Value::Null)
            }
            request::Completion::METHOD => self.answer::<request::Completion>(request, Self::completion),
            request::HoverRequest::METHOD => self.answer::<request::HoverRequest>(request, Self::hover),
            request::GotoDefinition::METHOD => self.answer::<request::GotoDefinition>(request, Self::definition),
            request::References::METHOD => self.answer::<request::References>(request, Self::references),
            request::DocumentSymbolRequest::METHOD => {
                self.answer::<request::DocumentSymbolRequest>(request, Self::symbols)
            }
            request::Formatting::METHOD => self.answer::<request::Formatting>(request, Self::formatting),
            request::CodeActionRequest::METHOD => self.answer::<request::CodeActionRequest>(request, Self::actions),
            other => Err((ErrorCode::MethodNotFound, format!("there is no method `{other}`"))),
        };
        self.send(match answer {
            Ok(answer) => Response::new_ok(id, answer),
            Err((code, why)) => Response::new_err(id, code as i32, why),
        })
    }

    fn answer<R: request::Request>(
        &self,
        request: Request,
        reply: impl Fn(&Self, R::Params) -> Option<R::Result>,
    ) -> Result<Value, (ErrorCode, String)> {
        let (_, params) = request
            .extract::<R::Params>(R::METHOD)
            .map_err(|e| (ErrorCode::InvalidParams, e.to_string()))?;
        // A file that is not ours has no answer.
        let Some(answer) = reply(self, params) else {
            return Ok(Value::Null);
        };
        serde_json::to_value(answer).map_err(|e| (ErrorCode::InternalError, e.to_string()))
    }

    fn path(&self, address: &Uri) -> Option<String> {
        self.workspace.relative(&uri::to_path(address)?)
    }

    /// Path, text and byte of a position.
    fn at(&self, at: &TextDocumentPositionParams) -> Option<(String, &str, usize)> {
        let path = self.path(&at.text_document.uri)?;
        let text = self.workspace.text(&path)?;
        let byte = Lines::new(text, self.workspace.encoding).byte(at.position);
        Some((path, text, byte))
    }

    fn completion(&self, params: lsp_types::CompletionParams) -> Option<Option<CompletionResponse>> {
        let (_, text, byte) = self.at(&params.text_document_position)?;
        let items = complete::complete(&self.workspace, text, byte);
        Some(Some(CompletionResponse::Array(items)))
    }

    fn hover(&self, params: lsp_types::HoverParams) -> Option<Option<Hover>> {
        let (path, text, byte) = self.at(&params.text_document_position_params)?;
        let (value, bytes) = hover::hover(&self.workspace, &path, text, byte, (self.clock)())?;
        let kind = MarkupKind::Markdown;
        Some(Some(Hover {
            contents: HoverContents::Markup(MarkupContent { kind, value }),
            range: Some(Lines::new(text, self.workspace.encoding).range(bytes)),
        }))
    }

    fn definition(&self, params: lsp_types::GotoDefinitionParams) -> Option<Option<GotoDefinitionResponse>> {
        let (path, text, byte) = self.at(&params.text_document_position_params)?;
        let place = navigate::definition(&self.workspace, &path, text, byte)?;
        Some(Some(GotoDefinitionResponse::Scalar(place)))
    }

    fn references(&self, params: lsp_types::ReferenceParams) -> Option<Option<Vec<lsp_types::Location>>> {
        let (path, text, byte) = self.at(&params.text_document_position)?;
        let declaration = params.context.include_declaration;
        Some(Some(navigate::uses(&self.workspace, &path, text, byte, declaration)))
    }

    fn symbols(&self, params: lsp_types::DocumentSymbolParams) -> Option<Option<DocumentSymbolResponse>> {
        let path = self.path(&params.text_document.uri)?;
        let symbols = navigate::symbols(&self.workspace, &path);
        Some(Some(DocumentSymbolResponse::Nested(symbols)))
    }

    /// The layout of `fmt`. A text that has none is left alone; its diagnostics say why.
    fn formatting(&self, params: lsp_types::DocumentFormattingParams) -> Option<Option<Vec<TextEdit>>> {
        let path = self.path(&params.text_document.uri)?;
        let text = self.workspace.text(&path)?;
        let after = layout::canonical(text).ok()?;
        let whole = Lines::new(text, self.workspace.encoding).whole();
        let edits = if after == text {
            Vec::new()
        } else {
            vec![TextEdit::new(whole, after)]
        };
        Some(Some(edits))
    }

    fn actions(&self, params: lsp_types::CodeActionParams) -> Option<Option<Vec<CodeActionOrCommand>>> {
        let path = self.path(&params.text_document.uri)?;
        let fixes = problems::fixes(&self.workspace, &path, &params.text_document.uri, params.range);
        Some(Some(fixes.into_iter().map(CodeActionOrCommand::CodeAction).collect()))
    }
}
