"""The composition root: what joins the parts into processes. `wiring` names who hears of what and who does which job;
`control` is the control plane, `model_server` the model server.
"""
