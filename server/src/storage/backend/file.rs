//! Where redb's bytes go.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;

use crate::storage::disk::DiskFile;

/// redb's file on our disk.
#[derive(Debug)]
pub(super) struct DiskBacking {
    file: Arc<dyn DiskFile>,
}

impl DiskBacking {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> DiskBacking {
        DiskBacking { file }
    }
}

impl StorageBackend for DiskBacking {
    fn len(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let read = self.file.read_at(out, offset)?;
        if read < out.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_size(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(data, offset)
    }
}
