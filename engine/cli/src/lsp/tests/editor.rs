//! An editor that speaks to a server of its own.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use lsp_server::{Connection, Message, Notification, Request, RequestId};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::NOW;
use crate::exit::Exit;
use crate::lsp::{server, uri};

/// An editor with a server behind it.
pub struct Editor {
    folder: TempDir,
    connection: Connection,
    server: Option<thread::JoinHandle<Result<Exit, String>>>,
    next: i32,
    /// What the server said besides answers, in order.
    heard: Vec<Notification>,
}

impl Editor {
    pub fn start(files: &[(&str, &str)], encodings: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (connection, server) = Connection::memory();
        let root = folder.path().to_owned();
        let server = thread::spawn(move || {
            let clock = || NOW.parse().unwrap();
            server::serve(&server, &root, &clock).map_err(|failure| failure.message)
        });
        let mut editor = Self {
            folder,
            connection,
            server: Some(server),
            next: 0,
            heard: Vec::new(),
        };
        let root = editor.uri("");
        let capabilities = json!({"general": {"positionEncodings": encodings}});
        let answer = editor.ask(
            "initialize",
            json!({"capabilities": capabilities, "workspaceFolders": [{"uri": root, "name": "x"}]}),
        );
        assert_eq!(answer["capabilities"]["hoverProvider"], json!(true));
        let expected = if encodings.contains(&"utf-8") {
            "utf-8"
        } else {
            "utf-16"
        };
        assert_eq!(answer["capabilities"]["positionEncoding"], json!(expected));
        editor.tell("initialized", json!({}));
        editor
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    pub fn uri(&self, path: &str) -> String {
        uri::of_path(&self.path(path)).unwrap().as_str().to_owned()
    }

    pub fn tell(&mut self, method: &str, params: Value) {
        let note = Notification::new(method.to_owned(), params);
        self.connection.sender.send(note.into()).unwrap();
    }

    pub fn send(&mut self, method: &str, params: Value) -> RequestId {
        self.next += 1;
        let id = RequestId::from(self.next);
        let request = Request::new(id.clone(), method.to_owned(), params);
        self.connection.sender.send(request.into()).unwrap();
        id
    }

    pub fn hear(&mut self) -> Message {
        // Only so that a test of a server that is silent ends; nothing is measured.
        self.connection.receiver.recv_timeout(Duration::from_secs(120)).unwrap()
    }

    pub fn answer(&mut self, id: &RequestId) -> Result<Value, i32> {
        loop {
            match self.hear() {
                Message::Response(response) if response.id == *id => {
                    return serde_json::to_value(response)
                        .map(|value| match value.get("error") {
                            Some(error) => Err(i32::try_from(error["code"].as_i64().unwrap()).unwrap()),
                            None => Ok(value["result"].clone()),
                        })
                        .unwrap();
                }
                Message::Notification(note) => self.heard.push(note),
                _ => {}
            }
        }
    }

    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(&id).unwrap()
    }

    pub fn open(&mut self, path: &str, text: &str) {
        let document = json!({"uri": self.uri(path), "languageId": "yaml", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
    }

    pub fn write(&mut self, path: &str, text: &str) {
        let params = json!({"textDocument": {"uri": self.uri(path), "version": 2}, "contentChanges": [{"text": text}]});
        self.tell("textDocument/didChange", params);
    }

    /// The diagnostics last published for a file, as `code line:character`.
    pub fn problems(&mut self, path: &str) -> Vec<String> {
        // A question is answered behind everything that was told before it; the next publication follows when the server
        // waits again, which the second question makes sure of.
        for _ in 0..2 {
            let uri = self.uri(path);
            self.ask("textDocument/documentSymbol", json!({"textDocument": {"uri": uri}}));
        }
        let list = self.published(path).unwrap_or_default();
        let start = |d: &Value| d["range"]["start"].clone();
        list.iter()
            .map(|d| {
                format!(
                    "{} {}:{}",
                    d["code"].as_str().unwrap(),
                    start(d)["line"],
                    start(d)["character"]
                )
            })
            .collect()
    }

    pub fn published(&self, path: &str) -> Option<Vec<Value>> {
        let uri = self.uri(path);
        let mut notes = self.heard.iter().rev();
        let last = notes.find(|note| note.params["uri"] == json!(uri))?;
        Some(last.params["diagnostics"].as_array().unwrap().clone())
    }

    /// Parameters for the place of `§` in a text.
    pub fn place(&self, path: &str, text: &str) -> (String, Value) {
        let at = text.find('§').unwrap();
        let (before, _) = text.split_at_checked(at).unwrap();
        let line = before.matches('\n').count();
        let character = before.rsplit('\n').next().unwrap().encode_utf16().count();
        let params =
            json!({"textDocument": {"uri": self.uri(path)}, "position": {"line": line, "character": character}});
        (text.replacen('§', "", 1), params)
    }

    pub fn complete(&mut self, path: &str, text: &str) -> Vec<Value> {
        let (text, params) = self.place(path, text);
        self.write(path, &text);
        self.ask("textDocument/completion", params).as_array().unwrap().clone()
    }

    pub fn labels(&mut self, path: &str, text: &str) -> Vec<String> {
        let items = self.complete(path, text);
        items
            .iter()
            .map(|item| item["label"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn hover(&mut self, path: &str, text: &str) -> String {
        let (text, params) = self.place(path, text);
        self.write(path, &text);
        self.ask("textDocument/hover", params)["contents"]["value"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    }

    pub fn end(mut self) {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        let late = self.send("textDocument/hover", json!({}));
        assert_eq!(self.answer(&late), Err(-32600), "after shutdown nothing is answered");
        self.tell("exit", Value::Null);
        assert_eq!(self.server.take().unwrap().join().unwrap(), Ok(Exit::Done));
    }
}
