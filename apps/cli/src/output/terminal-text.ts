// C0 and C1 controls, and the marks that turn the direction of text around. A device chooses its own strings, and a
// terminal obeys escape sequences: what cannot be seen is shown as a replacement character.
const deceiving = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const deceivingButLines = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** One line of text that a terminal can be given. */
export function safeText(text: string): string {
  return text.replace(deceiving, '\ufffd');
}

/** The same for text of several lines; newlines and tabs stay. */
export function safeLines(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(deceivingButLines, '\ufffd');
}
