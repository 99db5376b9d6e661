/** A Python traceback taken apart: what was raised, and which of its frames are the app's own. */

export interface Frame {
  file: string;
  line: number;
  /** Function, or `<module>`. */
  name: string;
  /** The line of source, where it was there. */
  code: string;
  /** Of the app: not of a library, of Python, or of what passes requests on to it. */
  own: boolean;
}

export interface Raised {
  /** Type and message, which may have several lines. */
  message: string;
  /** Innermost first: what raised it, then who called that. */
  frames: Frame[];
}

const PLACE = /^ {2}File "(.+?)", line (\d+)(?:, in (.+))?$/;

/** What stands between an exception and the one that it led to. */
const LED_TO =
  /\n\n(?:The above exception was the direct cause of|During handling of the above exception, another)[^\n]*\n\n/;

/** Lines that group exceptions draw around those in them. */
const DRAWN = /^ *(?:\| ?|\+-[+-]*[^\n]*$)/;

const LIBRARY =
  /[\\/](?:site|dist)-packages[\\/]|[\\/]lib[\\/]python\d|[\\/]Python\d+[\\/]Lib[\\/]|^<frozen |[\\/]custodes[\\/](?:asgi|planes[\\/]traffic)[\\/]/i;

/** The exceptions of a traceback: the one that left the app first, then what led to it, one after the other. */
export function taken(text: string): Raised[] {
  return text
    .trim()
    .split(LED_TO)
    .map(raised)
    .filter((one) => one.message !== '' || one.frames.length > 0)
    .reverse();
}

function raised(text: string): Raised {
  const frames: Frame[] = [];
  const message: string[] = [];
  for (const drawn of text.split('\n')) {
    const line = drawn.replace(DRAWN, '');
    const place = PLACE.exec(line);
    const last = frames.at(-1);
    if (place) {
      const [, file = '', number = '', name = ''] = place;
      frames.push({ file, line: Number(number), name, code: '', own: !LIBRARY.test(file) });
      message.length = 0;
    } else if (/^ {4}\S/.test(line) && last && message.length === 0) last.code ||= line.trim();
    else if (!/^(?:Exception Group )?Traceback \(most recent call last\):$/.test(line) && !/^ {2}/.test(line))
      message.push(line);
  }
  frames.reverse();
  // Where a library called a library, all of them count.
  if (!frames.some((frame) => frame.own)) for (const frame of frames) frame.own = true;
  return { message: message.join('\n').trim(), frames };
}

/** The end of a path, which tells files apart well enough. */
export function short(file: string): string {
  return file.split(/[\\/]/).slice(-2).join('/');
}
