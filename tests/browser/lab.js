// What the tests ask of JupyterLab's page. Loaded before JupyterLab; `panel` is the notebook that is open.
window.seen = {
  async open(path) {
    await jupyterapp.serviceManager.kernelspecs.refreshSpecs()
    window.panel = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'})
    await panel.context.ready
    await panel.sessionContext.ready
    await panel.sessionContext.session.kernel.info
    seen.said = []                                     // errors and warnings of the kernel, also those of callbacks, which no cell shows
    panel.sessionContext.iopubMessage.connect((_, {header: {msg_type}, content}) => {
      if (msg_type === 'error') seen.said.push(content.traceback.join('\n') + '\n')
      if (msg_type === 'stream' && content.name === 'stderr') seen.said.push(content.text)
    })
  },
  async run(place) {
    if (place === null) await jupyterapp.commands.execute('notebook:run-all-cells')
    else {
      panel.content.activeCellIndex = place
      await jupyterapp.commands.execute('notebook:run-cell')
    }
    await new Promise(requestAnimationFrame)
  },
  async python(expression) {
    const request = {code: '', silent: true, store_history: false, user_expressions: {value: expression}}
    const {value} = (await panel.sessionContext.session.kernel.requestExecute(request).done).content.user_expressions
    return value.status === 'ok' ? value.data['text/plain'] : `${value.ename}: ${value.evalue}`
  },
  async close() {
    await panel.sessionContext.shutdown()
    panel.context.model.dirty = false
    panel.dispose()
  },
  place(text) {
    return panel.content.widgets.findIndex(cell => cell.model.type === 'code' && cell.model.sharedModel.getSource().includes(text))
  },
  // A picture's pixels, a field's value, or a text; null while a picture is loading.
  state(element) {
    if (element.tagName === 'INPUT') return element.value
    if (element.tagName === 'CANVAS') return element.ariaLabel + element.toDataURL()
    if (element.tagName !== 'IMG') return element.textContent
    if (!element.complete || !element.naturalWidth) return null
    const canvas = document.createElement('canvas')
    canvas.width = element.naturalWidth
    canvas.height = element.naturalHeight
    canvas.getContext('2d').drawImage(element, 0, 0)
    return canvas.toDataURL()
  },
  plain(image) {
    const canvas = document.createElement('canvas'), pen = canvas.getContext('2d')
    canvas.width = image.naturalWidth ?? image.width
    canvas.height = image.naturalHeight ?? image.height
    if (!canvas.width) return true
    pen.drawImage(image, 0, 0)
    const colours = new Uint32Array(pen.getImageData(0, 0, canvas.width, canvas.height).data.buffer)
    return colours.every(colour => colour === colours[0])
  },
  // What sticks out of the cell's output to the right; what a screen reader could not name.
  cut(panel) {
    const {right} = panel.closest('.jp-OutputArea-output').getBoundingClientRect()
    return [...panel.querySelectorAll('*')].filter(element => element.offsetParent && element.getBoundingClientRect().right > right + 1).map(element => element.outerHTML)
  },
  nameless(panel) {
    const named = element => element.alt || element.title || element.ariaLabel || element.textContent.trim() || element.labels?.length
    return [...panel.querySelectorAll('img, canvas:not([aria-hidden=true]), button, select, input')].filter(element => element.offsetParent && !named(element)).map(element => element.outerHTML)
  },
  // Texts whose contrast with what is behind them is below 4.5 (WCAG 2.1, success criterion 1.4.3).
  faint(panel) {
    const numbers = colour => colour.match(/[\d.]+/g).map(Number)
    const light = ([red, green, blue]) => [red, green, blue].map(part => part / 255).map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
      .reduce((sum, part, i) => sum + part * [.2126, .7152, .0722][i], 0)
    const ground = element => {
      for (; element; element = element.parentElement) {
        const colour = numbers(getComputedStyle(element).backgroundColor)
        if (colour.length === 3 || colour[3] === 1) return colour
      }
      return [255, 255, 255]
    }
    const texts = [...panel.querySelectorAll('*')].filter(element => element.offsetParent && !element.closest('.nonvae-thumbnail')
      && [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
    return texts.map(element => {
      const [bright, dark] = [light(numbers(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a)
      return `${element.textContent}: ${((bright + .05) / (dark + .05)).toFixed(1)}`
    }).filter(line => Number(line.split(': ').pop()) < 4.5)
  },
  // Milliseconds from an input event to the moment when an image has loaded other pixels than before, or a canvas was given
  // another name, which it is together with its pixels.
  watch(image, event) {
    const watched = seen.watched = {times: [], start: null, before: seen.state(image)}
    document.addEventListener(event, input => { watched.start = input.timeStamp }, true)
    const changed = () => {
      const now = performance.now(), state = seen.state(image)
      if (watched.start === null || state === watched.before) return
      watched.times.push(now - watched.start)
      watched.start = null
      watched.before = state
    }
    image.addEventListener('load', changed)
    new MutationObserver(changed).observe(image, {attributeFilter: ['aria-label']})
  },
}
