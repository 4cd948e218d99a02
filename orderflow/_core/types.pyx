"""Python face of types.pxd: the enums, and a numpy dtype derived from every struct."""
import numpy as np


cdef extern from *:
    """
    #define ORDERFLOW_ASSERT_SIZE(value, bytes) static_assert(sizeof(value) == bytes, "size of " #value)
    """
    void assert_size "ORDERFLOW_ASSERT_SIZE"(...) noexcept nogil


cdef Level _level
cdef Wake _wake
cdef Command _command
cdef Event _event
cdef ChildOrder _child_order
cdef ExecutionReport _execution_report
cdef ParentOrder _parent_order
cdef ParentReport _parent_report
cdef ResidualChange _residual_change
cdef Signals _signals
cdef Listing _listing
cdef Message _message
cdef InputRecord _input_record
cdef Recorded _recorded
cdef TapeRecord _tape_record

assert_size(_level, 16)
assert_size(_wake, 64)
assert_size(_command, 64)
assert_size(_event, 64)
assert_size(_child_order, 128)
assert_size(_execution_report, 128)
assert_size(_parent_order, 128)
assert_size(_parent_report, 128)
assert_size(_residual_change, 64)
assert_size(_input_record, 32)
assert_size(_recorded, 32)
assert_size(_tape_record, 128)

LEVEL_DTYPE = np.asarray(<Level[:1]>&_level).dtype
WAKE_DTYPE = np.asarray(<Wake[:1]>&_wake).dtype
COMMAND_DTYPE = np.asarray(<Command[:1]>&_command).dtype
EVENT_DTYPE = np.asarray(<Event[:1]>&_event).dtype
CHILD_ORDER_DTYPE = np.asarray(<ChildOrder[:1]>&_child_order).dtype
EXECUTION_REPORT_DTYPE = np.asarray(<ExecutionReport[:1]>&_execution_report).dtype
PARENT_ORDER_DTYPE = np.asarray(<ParentOrder[:1]>&_parent_order).dtype
PARENT_REPORT_DTYPE = np.asarray(<ParentReport[:1]>&_parent_report).dtype
RESIDUAL_CHANGE_DTYPE = np.asarray(<ResidualChange[:1]>&_residual_change).dtype
SIGNALS_DTYPE = np.asarray(<Signals[:1]>&_signals).dtype
LISTING_DTYPE = np.asarray(<Listing[:1]>&_listing).dtype
RECORDED_DTYPE = np.asarray(<Recorded[:1]>&_recorded).dtype
INPUT_RECORD_DTYPE = np.asarray(<InputRecord[:1]>&_input_record).dtype
TAPE_DTYPE = np.asarray(<TapeRecord[:1]>&_tape_record).dtype
MESSAGE_DTYPE = np.asarray(<Message[:1]>&_message).dtype
