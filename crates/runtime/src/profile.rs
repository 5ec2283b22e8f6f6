//! The time each operator took in one run.

use std::ptr;

use ir::Tensor;

use crate::error::Error;
use crate::ffi::{ProfileEvent, Raw};
use crate::handle::{check, text};
use crate::session::Session;

/// Where an operator ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// One of LiteRT's own kernels.
    Builtin,
    /// Inside a delegate: XNNPACK.
    Delegate,
}

/// One operator in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The name of the operator: TFLite's (`CONV_2D`) or, inside the delegate, XNNPACK's.
    pub name: String,
    /// Where it ran.
    pub place: Place,
    /// Wall-clock time in microseconds.
    pub microseconds: u64,
    /// The index of the node in the executed graph; the delegate's own counting inside the delegate.
    pub node: u64,
}

/// `tflite::Profiler::EventType` (tflite/core/api/profiler.h): an operator of the interpreter, and one inside
/// a delegate. The other types are phases and telemetry, whose times are not an operator's.
const OPERATOR: i32 = 1 << 1;
const DELEGATE_OPERATOR: i32 = 1 << 3;

impl Session {
    /// Runs the model once and tells the time of each operator, in order. Errs without
    /// [`Settings::profiling`](crate::Settings::profiling).
    pub fn profile(&mut self, inputs: &[Tensor]) -> Result<Vec<Event>, Error> {
        self.load(inputs)?;
        // The first run packs weights and plans memory.
        self.invoke()?;

        let profiler = self.profiler()?;
        let api = self.api();
        // SAFETY: the profiler belongs to the compiled model, which is alive.
        check("LiteRtResetProfiler", unsafe { (api.LiteRtResetProfiler)(profiler) })?;
        // SAFETY: as above.
        check("LiteRtStartProfiler", unsafe { (api.LiteRtStartProfiler)(profiler) })?;
        let ran = self.invoke();
        let api = self.api();
        // SAFETY: as above.
        check("LiteRtStopProfiler", unsafe { (api.LiteRtStopProfiler)(profiler) })?;
        ran?;

        let mut count = 0;
        // SAFETY: as above; the number is ours.
        let status = unsafe { (api.LiteRtGetNumProfilerEvents)(profiler, &mut count) };
        check("LiteRtGetNumProfilerEvents", status)?;
        let mut events = vec![ProfileEvent::EMPTY; usize::try_from(count).unwrap_or(0)];
        // SAFETY: as above; the array has room for `count` events.
        let status = unsafe { (api.LiteRtGetProfilerEvents)(profiler, count, events.as_mut_ptr()) };
        check("LiteRtGetProfilerEvents", status)?;
        Ok(events.iter().filter_map(operator).collect())
    }

    fn profiler(&self) -> Result<Raw, Error> {
        let mut profiler: Raw = ptr::null_mut();
        // SAFETY: the compiled model is alive and keeps owning its profiler.
        let status = unsafe { (self.api().LiteRtCompiledModelGetProfiler)(self.compiled(), &mut profiler) };
        check("LiteRtCompiledModelGetProfiler", status)?;
        if profiler.is_null() {
            return Err(Error::Unsupported("the session was opened without profiling".to_owned()));
        }
        Ok(profiler)
    }
}

/// The event, where it is an operator's.
fn operator(event: &ProfileEvent) -> Option<Event> {
    let place = match event.event_type {
        OPERATOR => Place::Builtin,
        DELEGATE_OPERATOR => Place::Delegate,
        _ => return None,
    };
    Some(Event {
        name: text(event.tag),
        place,
        microseconds: event.elapsed_microseconds,
        node: event.metadata[0],
    })
}
