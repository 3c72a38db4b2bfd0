//! Writes a `.rep` file that [`Trace::open`] and the courses' drivers read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Op, Trace};

impl Trace {
    /// Writes the text of the `.rep` form.
    ///
    /// # Errors
    /// As the stream does.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for header in [self.suggested_heap, u64::from(self.ids), self.ops.len() as u64, self.weight] {
            writeln!(out, "{header}")?;
        }
        for op in &self.ops {
            match op {
                Op::Allocate { id, size } => writeln!(out, "a {id} {size}")?,
                Op::Reallocate { id, size } => writeln!(out, "r {id} {size}")?,
                Op::Free { id } => writeln!(out, "f {id}")?,
            }
        }
        Ok(())
    }

    /// Writes a file, compressed with gzip if its name ends in `.gz`.
    ///
    /// # Errors
    /// If the file can't be made or written to.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let file = BufWriter::new(File::create(path)?);
        if path.extension().is_some_and(|ending| ending == "gz") {
            let mut packed = BufWriter::new(GzEncoder::new(file, Compression::best()));
            self.write(&mut packed)?;
            let packed = packed.into_inner().map_err(io::IntoInnerError::into_error)?;
            return packed.finish()?.flush();
        }
        let mut file = file;
        self.write(&mut file)?;
        file.flush()
    }
}
