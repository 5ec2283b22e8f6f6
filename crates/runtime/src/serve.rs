//! The child's side: opens one model and answers requests about it until the parent hangs up.

use std::fs::File;
use std::io::{self, BufReader};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, Timespec, clock_gettime};

use ir::Tensor;

use crate::error::Error;
use crate::message::{Reply, Request, receive, send};
use crate::session::Session;

/// The hidden command-line verb under which a program calls [`serve`].
pub const VERB: &str = "__litert";

/// Answers a parent's requests on standard input and output until the parent ends or a request fails.
///
/// Errs where standard input and output do not carry our protocol. Whatever else writes to standard output
/// is led to standard error.
pub fn serve() -> io::Result<()> {
    // Kernels may print; only frames may reach the parent's pipe.
    let mut replies = File::from(rustix::io::dup(io::stdout())?);
    rustix::stdio::dup2_stdout(io::stderr())?;
    // A crash is told to the parent; an image of the memory helps nobody.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;

    let mut requests = BufReader::new(io::stdin().lock());
    let mut open: Option<Opened> = None;
    while let Some(request) = receive::<Request>(&mut requests)? {
        let reply = match (&mut open, request) {
            (None, open_request @ Request::Open { .. }) => Opened::new(open_request).map(|opened| {
                let signature = opened.session.signature().clone();
                open = Some(opened);
                Reply::Opened(signature)
            }),
            (Some(opened), request) => opened.answer(request),
            (None, _) => Err("the first request did not open a model".to_owned()),
        };
        let reply = reply.unwrap_or_else(Reply::Failed);
        send(&mut replies, &reply)?;
        if matches!(reply, Reply::Failed(_)) {
            break;
        }
    }
    Ok(())
}

/// A session with the request that opened it.
struct Opened {
    session: Session,
    request: Request,
}

impl Opened {
    fn new(request: Request) -> Result<Self, String> {
        let Request::Open { library, model, settings } = &request else {
            return Err("this request does not open a model".to_owned());
        };
        match Session::open(library, model, *settings) {
            Ok(session) => Ok(Opened { session, request }),
            Err(e) => {
                explain(&request, &[]);
                Err(e.to_string())
            }
        }
    }

    fn answer(&mut self, request: Request) -> Result<Reply, String> {
        let (inputs, result) = match request {
            Request::Open { .. } => return Err("a model is open already".to_owned()),
            Request::Run { inputs } => {
                let result = self.session.run(&inputs).map(Reply::Outputs);
                (inputs, result)
            }
            Request::Time { inputs, repetitions } => {
                let result = time(&mut self.session, &inputs, repetitions).map(Reply::Times);
                (inputs, result)
            }
            Request::Profile { inputs } => {
                let result = self.session.profile(&inputs).map(Reply::Events);
                (inputs, result)
            }
        };
        result.map_err(|e| {
            explain(&self.request, &inputs);
            e.to_string()
        })
    }
}

/// Does what failed once more with LiteRT's messages on, which gives the reason on standard error.
fn explain(open: &Request, inputs: &[Tensor]) {
    let Request::Open { library, model, settings } = open else { return };
    if let Ok(mut session) = Session::open_talkative(library, model, *settings) {
        // The result is known to be a failure; only the messages count.
        let _ = session.run(inputs);
    }
}

/// The processor time of each of `repetitions` runs in seconds, all threads together, after one run that is
/// not counted.
fn time(session: &mut Session, inputs: &[Tensor], repetitions: u64) -> Result<Vec<f64>, Error> {
    session.load(inputs)?;
    session.invoke()?;
    (0..repetitions)
        .map(|_| {
            let start = processor_seconds();
            session.invoke()?;
            Ok(processor_seconds() - start)
        })
        .collect()
}

/// The processor time this process has used, in seconds.
fn processor_seconds() -> f64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    tv_sec as f64 + tv_nsec as f64 * 1e-9
}
