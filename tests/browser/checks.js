// What is asked of every page, in the page. Each check gives a list of what is wrong, in words.
var checks = (() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const head = (element) => element.outerHTML.slice(0, 120).replace(/\s+/g, ' ');

  // Any colour that CSS can write, as red, green, blue from 0 to 255 and alpha from 0 to 1: a canvas knows them all.
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const colour = (text) => {
    if (!known.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = '#000';
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(text, [red, green, blue, alpha / 255]);
    }
    return known.get(text);
  };
  const over = (front, back) => {
    const alpha = front[3] + back[3] * (1 - front[3]);
    if (alpha === 0) return [0, 0, 0, 0];
    const mix = (at) => (front[at] * front[3] + back[at] * back[3] * (1 - front[3])) / alpha;
    return [mix(0), mix(1), mix(2), alpha];
  };
  // Relative luminance and contrast as WCAG 2 defines them.
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  const opacity = (element) => {
    let product = 1;
    for (let at = element; at; at = at.parentElement) product *= Number(getComputedStyle(at).opacity);
    return product;
  };
  const shape = (element) => element instanceof SVGElement && !['svg', 'g', 'text', 'tspan'].includes(element.tagName);
  // What one element paints below whatever stands on it.
  const paint = (element) => {
    const style = getComputedStyle(element);
    const text = shape(element) ? (style.fill.startsWith('url') ? 'transparent' : style.fill) : style.backgroundColor;
    const [red, green, blue, alpha] = colour(text === 'none' ? 'transparent' : text);
    const own = shape(element) ? Number(style.fillOpacity) : 1;
    return [red, green, blue, alpha * own * opacity(element)];
  };
  // What lies below the text of `element` at a point: everything that the browser finds there, the frontmost first.
  const ground = (element, x, y) => {
    let result = [0, 0, 0, 0];
    const stack = document.elementsFromPoint(x, y);
    const from = stack.indexOf(element);
    for (const below of from < 0 ? stack : stack.slice(from)) {
      if (below === element && element instanceof SVGElement) continue;
      result = over(result, paint(below));
      if (result[3] > 0.999) return result;
    }
    // The browser's own canvas, which is dark where the page says that it can be.
    const dark = getComputedStyle(document.documentElement).colorScheme.includes('dark')
      && matchMedia('(prefers-color-scheme: dark)').matches;
    return over(result, dark ? [18, 18, 18, 1] : [255, 255, 255, 1]);
  };

  return {
    // One h1, and no level that is skipped on the way down.
    headings() {
      const wrong = [];
      let before = 0;
      for (const element of all('h1, h2, h3, h4, h5, h6')) {
        const level = Number(element.tagName[1]);
        if (level > before + 1) wrong.push(`${head(element)} follows a heading of level ${before}`);
        if (!element.textContent.trim()) wrong.push(`${head(element)} is empty`);
        before = level;
      }
      const first = all('h1').length;
      if (first !== 1) wrong.push(`${first} headings of level 1`);
      return wrong;
    },

    // Every table has headers, and each says what it heads.
    tables() {
      const wrong = [];
      for (const table of all('table')) {
        if (!table.querySelector('th')) wrong.push(`${head(table)} has no headers`);
        for (const cell of all('th', table)) {
          if (!['col', 'row', 'colgroup', 'rowgroup'].includes(cell.scope)) wrong.push(`${head(cell)} has no scope`);
        }
      }
      return wrong;
    },

    // A language and a title, which assistive technology says first.
    document() {
      const wrong = [];
      if (!document.documentElement.lang) wrong.push('the page names no language');
      if (!document.title.trim()) wrong.push('the page has no title');
      return wrong;
    },

    // Text stands out from what is behind it by 4.5 to 1 at the least.
    contrast() {
      const wrong = new Set();
      // Shapes that let the pointer through lie below text all the same.
      const style = document.createElement('style');
      style.textContent = '* { pointer-events: auto !important; scroll-behavior: auto !important }';
      document.documentElement.append(style);
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      const range = document.createRange();
      while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || ['STYLE', 'SCRIPT', 'title', 'desc'].includes(element.tagName)) continue;
        if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
        range.selectNodeContents(walker.currentNode);
        let box = range.getClientRects()[0];
        // What is clipped to a point is there for a screen reader only.
        if (!box || box.width < 2 || box.height < 2) continue;
        const middle = () => [box.left + box.width / 2, box.top + box.height / 2];
        // Out of the window, or of a region that scrolls.
        if (!document.elementsFromPoint(...middle()).includes(element)) {
          element.scrollIntoView({ block: 'center', inline: 'center' });
          box = range.getClientRects()[0];
        }
        const back = ground(element, ...middle());
        const computed = getComputedStyle(element);
        const [red, green, blue, alpha] = colour(element instanceof SVGElement ? computed.fill : computed.color);
        const front = over([red, green, blue, alpha * opacity(element)], back);
        const contrast = ratio(front, back);
        if (contrast < 4.5) {
          const text = walker.currentNode.data.trim().slice(0, 40);
          wrong.add(`${contrast.toFixed(2)}: "${text}" in ${head(element)}: ${front.map(Math.round)} on ${back.map(Math.round)}`);
        }
      }
      style.remove();
      scrollTo(0, 0);
      return [...wrong];
    },

    // Nothing sticks out of the window to the right. A region that scrolls by itself may hold something wider.
    overflow() {
      const width = document.documentElement.clientWidth;
      const asked = screen.width;
      const wide = Math.max(document.documentElement.scrollWidth, width);
      if (wide <= asked) return [];
      const scrolls = (element) => {
        for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
          if (getComputedStyle(at).overflowX !== 'visible') return true;
        }
        return false;
      };
      const out = all('body *').filter((element) => element.getBoundingClientRect().right > asked + 0.5 && !scrolls(element));
      return [`the page is ${wide} wide in a window of ${asked}: ${out.slice(0, 3).map(head).join('; ')}`];
    },
  };
})();
