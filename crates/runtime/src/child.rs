//! One model in a process of its own: the parent's side.

use std::io::{self, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ir::Tensor;

use crate::error::Error;
use crate::message::{Reply, Request, receive, send};
use crate::profile::Event;
use crate::serve::VERB;
use crate::session::{Settings, Signature};

/// How much of the end of the child's standard error is kept, in bytes.
const SAID_LIMIT: usize = 1 << 14;

/// A model in a child process. A crash, a hang or a failure in there comes back as an [`Error`]; after one the
/// child is gone and every further request tells the same error.
#[derive(Debug)]
pub struct Child {
    state: State,
    signature: Signature,
    patience: Duration,
}

#[derive(Debug)]
enum State {
    Alive(Process),
    Gone(Error),
}

/// A running child with a thread at each of its three pipes, so that none can block us.
#[derive(Debug)]
struct Process {
    child: std::process::Child,
    // `None` only while the process is being ended.
    requests: Option<Sender<Request>>,
    replies: Receiver<io::Result<Option<Reply>>>,
    said: Option<JoinHandle<Vec<u8>>>,
}

impl Child {
    /// Starts `program` with the hidden verb, under which it calls [`serve`](crate::serve), and has it open
    /// `model`. `patience` is the longest that opening, or one run, may take.
    pub fn spawn(
        program: &Path,
        library: &Path,
        model: &Path,
        settings: Settings,
        patience: Duration,
    ) -> Result<Self, Error> {
        let mut process = Process::start(program)?;
        let open = Request::Open { library: library.to_owned(), model: model.to_owned(), settings };
        match process.ask(open, patience, "while opening the model") {
            Ok(Reply::Opened(signature)) => Ok(Child { state: State::Alive(process), signature, patience }),
            Ok(reply) => Err(unexpected(&reply)),
            Err(e) => Err(e),
        }
    }

    /// What the model takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Runs the model once. Inputs and outputs are in the signature's order.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let request = Request::Run { inputs: inputs.to_vec() };
        match self.ask(inputs, request, self.patience, "while running the model")? {
            Reply::Outputs(outputs) => Ok(outputs),
            reply => Err(self.give_up(unexpected(&reply))),
        }
    }

    /// The processor time of each of `repetitions` runs in seconds, all threads together, after one run that
    /// is not counted.
    pub fn time(&mut self, inputs: &[Tensor], repetitions: u32) -> Result<Vec<f64>, Error> {
        let request = Request::Time { inputs: inputs.to_vec(), repetitions: repetitions.into() };
        let patience = self.patience.saturating_mul(repetitions.saturating_add(1));
        match self.ask(inputs, request, patience, "while timing the model")? {
            Reply::Times(seconds) => Ok(seconds),
            reply => Err(self.give_up(unexpected(&reply))),
        }
    }

    /// The time of each operator in one run, in order. Needs [`Settings::profiling`].
    pub fn profile(&mut self, inputs: &[Tensor]) -> Result<Vec<Event>, Error> {
        let request = Request::Profile { inputs: inputs.to_vec() };
        match self.ask(inputs, request, self.patience.saturating_mul(2), "while profiling the model")? {
            Reply::Events(events) => Ok(events),
            reply => Err(self.give_up(unexpected(&reply))),
        }
    }

    fn ask(
        &mut self,
        inputs: &[Tensor],
        request: Request,
        patience: Duration,
        during: &'static str,
    ) -> Result<Reply, Error> {
        // Looked at here so that a wrong input does not cost the child.
        self.signature.check(inputs)?;
        let process = match &mut self.state {
            State::Alive(process) => process,
            State::Gone(why) => return Err(why.clone()),
        };
        process.ask(request, patience, during).map_err(|why| self.give_up(why))
    }

    fn give_up(&mut self, why: Error) -> Error {
        self.state = State::Gone(why.clone());
        why
    }
}

impl Process {
    fn start(program: &Path) -> Result<Self, Error> {
        let mut child = Command::new(program)
            .arg(VERB)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| Error::Process(format!("{}: {e}", program.display())))?;
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");

        let (requests, to_send) = channel::<Request>();
        thread::spawn(move || {
            // A pipe that breaks means that the child has ended, which the reader of replies sees too.
            while let Ok(request) = to_send.recv()
                && send(&mut stdin, &request).is_ok()
            {}
        });
        let (received, replies) = channel();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            loop {
                let reply = receive::<Reply>(&mut stdout);
                let last = !matches!(reply, Ok(Some(_)));
                if received.send(reply).is_err() || last {
                    break;
                }
            }
        });
        let said = thread::spawn(move || read_end(stderr));
        Ok(Process { child, requests: Some(requests), replies, said: Some(said) })
    }

    /// Sends a request and waits for its reply. Where there is none, or it is a failure, the child is ended.
    fn ask(&mut self, request: Request, patience: Duration, during: &'static str) -> Result<Reply, Error> {
        if let Some(requests) = &self.requests {
            // Where the writer is gone, so is the child; the reader says so below.
            let _ = requests.send(request);
        }
        match self.replies.recv_timeout(patience) {
            Ok(Ok(Some(Reply::Failed(what)))) => {
                let (_, said) = self.end(Duration::from_secs(1));
                Err(Error::Failed { what, said })
            }
            Ok(Ok(Some(reply))) => Ok(reply),
            Err(RecvTimeoutError::Timeout) => {
                let (_, said) = self.end(Duration::ZERO);
                Err(Error::Hung { during, seconds: patience.as_secs_f64(), said })
            }
            // The pipe has closed: the child is ending by itself, so there is a verdict to wait for.
            Ok(Ok(None) | Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                let (status, said) = self.end(Duration::from_secs(5));
                Err(verdict(status, said, during))
            }
        }
    }

    /// Ends the child, which gets `grace` to end by itself, and tells how it ended and what it said.
    fn end(&mut self, grace: Duration) -> (Option<ExitStatus>, String) {
        // Closes the child's standard input, on which it ends.
        self.requests = None;
        let step = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        while waited < grace && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(step);
            waited += step;
        }
        // Fails where the child has ended, which is as well.
        let _ = self.child.kill();
        let status = self.child.wait().ok();
        let said = self.said.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        (status, String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

fn verdict(status: Option<ExitStatus>, said: String, during: &'static str) -> Error {
    let Some(status) = status else {
        return Error::Process(format!("it ended {during}, how is not known"));
    };
    match status.signal() {
        Some(signal) => Error::Crashed { during, signal, said },
        None => Error::Exited { during, code: status.code().unwrap_or_default(), said },
    }
}

fn unexpected(reply: &Reply) -> Error {
    Error::Process(format!("it answered another question: {reply:?}"))
}

/// The last [`SAID_LIMIT`] bytes of a stream, or some more.
fn read_end(mut from: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut block = [0; 4096];
    loop {
        match from.read(&mut block) {
            Ok(0) => return kept,
            Ok(count) => kept.extend(&block[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return kept,
        }
        if kept.len() > 2 * SAID_LIMIT {
            kept.drain(..kept.len() - SAID_LIMIT);
        }
    }
}
